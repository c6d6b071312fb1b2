//! Which server, which token, which zone, which account: flags over environment over the local data directory.

use std::io::Read;
use std::path::Path;

use certgate_model::{AccountId, ZoneId};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::http::{Answer, Api, Refusal, Token};
use super::output::{Screen, printable};
use super::profile::{self, LocalProfile};
use crate::cli::{ClientArgs, Secret};
use crate::config::{self, Environment, Flags, Layers};
use crate::failure::Failure;

/// Largest page of zones, accounts and tokens.
const PAGE: u64 = 50;

/// How many pages are gathered before the server is taken to be out of order.
const PAGES_MAX: u64 = 1_000;

/// Longest token file: a token has some forty characters.
const TOKEN_BYTES_MAX: u64 = 4096;

/// A connection, and what the local data directory knows about the server behind it.
#[derive(Debug)]
pub struct Session {
    /// The connection.
    pub api: Api,
    /// The local data directory's profile, where the connection is to that server.
    profile: Option<LocalProfile>,
    zone_variable: Option<String>,
}

/// An id with its name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Named {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
}

impl Session {
    /// Decides where to connect and with which token. Connects to nothing yet.
    pub fn open(
        arguments: &ClientArgs,
        environment: &Environment,
        screen: &mut Screen,
    ) -> Result<Self, Failure> {
        let local = Local::read(arguments, environment)?;
        let named = arguments
            .api
            .as_deref()
            .or_else(|| environment.variable("CERTGATE_API"));
        // The profile's token goes to the profile's server and to no other.
        let profile = match named {
            Some(address) => local.profile.filter(|profile| {
                profile.api.trim_end_matches('/') == address.trim_end_matches('/')
            }),
            None => local.profile,
        };
        let Some(address) = named.or(profile.as_ref().map(|profile| profile.api.as_str())) else {
            return Err(Failure::usage(format!("which server? {} has no {}", local.directory, profile::FILE))
                .hint("start `certgate serve` here, name its data directory with --data-dir, or set CERTGATE_API and CERTGATE_TOKEN"));
        };
        let (token, source) = token(
            arguments,
            environment,
            profile.as_ref(),
            &local.directory,
            address,
        )?;
        let authorities = arguments
            .api_ca
            .as_deref()
            .or_else(|| environment.variable("CERTGATE_API_CA").map(Path::new));
        let api = Api::new(address, authorities, token, source)?;
        if api.is_cleartext_to_others() {
            screen
                .say("warning: the token crosses the network in clear text; use an https address");
        }
        let zone_variable = environment.variable("CERTGATE_ZONE").map(str::to_owned);
        Ok(Self {
            api,
            profile,
            zone_variable,
        })
    }

    /// A connection without a local data directory.
    #[cfg(test)]
    pub fn over(api: Api) -> Self {
        Self {
            api,
            profile: None,
            zone_variable: None,
        }
    }

    /// The zone meant by `named`, or by nobody.
    pub fn zone(&self, named: Option<&str>) -> Result<ZoneId, Failure> {
        match named.or(self.zone_variable.as_deref()) {
            Some(text) => self.zone_named(text),
            None => match &self.profile {
                Some(profile) => id_of(&profile.zone_id),
                None => id_of(&self.only("zone", "/client/v4/zones", "--zone")?),
            },
        }
    }

    /// The zone with this name or id.
    pub fn zone_named(&self, text: &str) -> Result<ZoneId, Failure> {
        text.parse()
            .or_else(|_| id_of(&self.by_name("zone", "/client/v4/zones", text)?))
    }

    /// The account meant by `named`, or by nobody.
    pub fn account(&self, named: Option<&str>) -> Result<AccountId, Failure> {
        match (named, &self.profile) {
            (Some(text), _) => text
                .parse()
                .or_else(|_| id_of(&self.by_name("account", "/client/v4/accounts", text)?)),
            (None, Some(profile)) => id_of(&profile.account_id),
            (None, None) => id_of(&self.only("account", "/client/v4/accounts", "--account")?),
        }
    }

    /// Every item of a list, page by page until one is not full.
    pub fn every(&self, path: &str) -> Result<Vec<Box<RawValue>>, Failure> {
        let mut items = Vec::new();
        for page in 1..=PAGES_MAX {
            let answer = self
                .api
                .get(&format!("{path}?page={page}&per_page={PAGE}"))?;
            let found: Vec<Box<RawValue>> = answer.parse()?;
            let last = (found.len() as u64) < PAGE || answer.info.total_pages <= page;
            items.extend(found);
            if last {
                return Ok(items);
            }
        }
        Err(Failure::failed(format!(
            "the list at {path} does not end after {PAGES_MAX} pages of {PAGE}"
        )))
    }

    fn by_name(&self, kind: &str, path: &str, name: &str) -> Result<String, Failure> {
        let answer = self.look_up(
            kind,
            &format!("{path}?name={}&per_page={PAGE}", encoded(name)),
        )?;
        let found: Vec<Named> = answer.parse()?;
        let exact = found
            .iter()
            .find(|item| item.name.eq_ignore_ascii_case(name));
        exact.map(|item| item.id.clone()).ok_or_else(|| {
            Failure::failed(format!(
                "there is no {kind} called {:?}, or the token may not see it",
                printable(name)
            ))
            .hint(
                format!("`certgate {kind} list` shows the names")
                    .replace("account list", "zone list"),
            )
        })
    }

    /// Whoever may use a zone may not necessarily look it up, which needs a permission of its own.
    fn look_up(&self, kind: &str, path: &str) -> Result<Answer, Failure> {
        self.api.get(path).map_err(|refusal| match refusal {
            Refusal::Refused {
                status: 403,
                failure,
            } => failure
                .and(format!("the {kind} could not be looked up"))
                .advise(format!(
                    "name the {kind} by its id, which needs no permission to look it up"
                )),
            other => other.into_failure(),
        })
    }

    fn only(&self, kind: &str, path: &str, flag: &str) -> Result<String, Failure> {
        let answer = self.look_up(kind, &format!("{path}?per_page={PAGE}"))?;
        let found: Vec<Named> = answer.parse()?;
        match &found[..] {
            [item] => Ok(item.id.clone()),
            [] => Err(Failure::failed(format!("the token can see no {kind}"))),
            several => {
                let names: Vec<_> = several.iter().map(|item| printable(&item.name)).collect();
                Err(
                    Failure::usage(format!("which {kind}? There are {}", names.join(", ")))
                        .hint(format!("name one with {flag}")),
                )
            }
        }
    }
}

/// What the data directory on this machine says.
struct Local {
    directory: String,
    profile: Option<LocalProfile>,
}

impl Local {
    fn read(arguments: &ClientArgs, environment: &Environment) -> Result<Self, Failure> {
        // Whoever names the server and the token needs nothing from a directory that may belong to somebody else.
        let named = |flag: bool, variable| flag || environment.variable(variable).is_some();
        let complete = named(arguments.api.is_some(), "CERTGATE_API")
            && named(
                arguments.token.is_some() || arguments.token_file.is_some(),
                "CERTGATE_TOKEN",
            );
        match Self::of_directory(arguments, environment) {
            Err(_) if complete => Ok(Self {
                directory: String::new(),
                profile: None,
            }),
            outcome => outcome,
        }
    }

    fn of_directory(arguments: &ClientArgs, environment: &Environment) -> Result<Self, Failure> {
        let directory = match &arguments.data_dir {
            Some(directory) => directory.clone(),
            None => {
                let flags = Flags {
                    file: arguments.config.clone(),
                    ..Flags::default()
                };
                config::data_dir(&Layers::gather(&flags, environment, Path::new(""))?)
            }
        };
        let shown = directory.display().to_string();
        match profile::read(&directory) {
            Ok(profile) => Ok(Self { directory: shown, profile }),
            Err(error) => Err(Failure::io(format!("cannot read {shown}/{}", profile::FILE), &error)
                .hint("it belongs to the user that runs the server; or set CERTGATE_API and CERTGATE_TOKEN")),
        }
    }
}

fn token(
    arguments: &ClientArgs,
    environment: &Environment,
    profile: Option<&LocalProfile>,
    directory: &str,
    address: &str,
) -> Result<(Token, String), Failure> {
    if let Some(path) = &arguments.token_file {
        let text = read_token(path).map_err(|error| {
            Failure::usage(format!(
                "cannot read the token from {}: {error}",
                path.display()
            ))
        })?;
        return Ok((
            Token::new(&text)?,
            format!("--token-file {}", path.display()),
        ));
    }
    if let Some(Secret(token)) = &arguments.token {
        return Ok((Token::new(token)?, "--token".to_owned()));
    }
    if let Some(token) = environment.variable("CERTGATE_TOKEN") {
        return Ok((Token::new(token)?, "environment CERTGATE_TOKEN".to_owned()));
    }
    match profile {
        Some(profile) => Ok((
            Token::new(&profile.token)?,
            format!("{directory}/{}", profile::FILE),
        )),
        None => Err(
            Failure::usage(format!("no token for {}", printable(address)))
                .hint("give one with --token-file or CERTGATE_TOKEN"),
        ),
    }
}

fn read_token(path: &Path) -> std::io::Result<zeroize::Zeroizing<String>> {
    let mut text = zeroize::Zeroizing::new(String::new());
    match path.to_str() {
        Some("-") => std::io::stdin()
            .take(TOKEN_BYTES_MAX)
            .read_to_string(&mut text)?,
        _ => std::fs::File::open(path)?
            .take(TOKEN_BYTES_MAX)
            .read_to_string(&mut text)?,
    };
    Ok(text)
}

/// An id from the server or the profile; it becomes part of a path, so it must be one.
fn id_of<T: std::str::FromStr>(text: &str) -> Result<T, Failure> {
    text.parse().map_err(|_| {
        Failure::failed(format!(
            "{:?} is no id of 32 hexadecimal digits",
            printable(text)
        ))
    })
}

/// Percent-encoded for a query (RFC 3986 §2.1).
pub fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(char::from(byte))
            }
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests;
