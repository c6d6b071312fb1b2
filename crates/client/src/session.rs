//! The server, the token, the zone and the account of a command: flags win over the environment,
//! the environment over the local data directory, and that over the context of `certgate login`. A
//! flag that names a context wins over all that the environment says of a server.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use certgate_model::{AccountId, Random, ZoneId};
use certgate_wire::{Id, ResultInfo};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::arguments::{ClientArgs, Secret};
use crate::contexts::{Contexts, ServerContext};
use crate::environment::{self, Environment};
use crate::failure::Failure;
use crate::files;
use crate::http::{self, Answer, Api, Refusal, Token, Trusted};
use crate::output::{Screen, Style, printable};
use crate::profile::{self, LocalProfile};

/// The largest page of zones, accounts and tokens.
const PAGE: u64 = 50;

/// The longest list that the client gathers, in pages. A longer one is an error of the server.
const PAGES_MAX: u64 = 1_000;

/// The longest token file, in bytes: a token has about forty characters.
pub const TOKEN_BYTES_MAX: u64 = 4096;

/// The unreserved characters of RFC 3986 §2.3 stay in a query.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The process that a command runs in.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The environment variables.
    pub environment: &'a Environment,
    /// Reads the data directory from a configuration file, or from the usual one.
    pub data_dir: &'a dyn Fn(Option<&Path>) -> Result<PathBuf, Failure>,
    /// The directory of the user's configuration, if the system names one.
    pub config_dir: Option<&'a Path>,
    /// The source of idempotency keys.
    pub random: &'a dyn Random,
}

/// A connection, and the local data directory's profile of its server.
#[derive(Debug)]
pub struct Session {
    /// The connection.
    pub api: Api,
    profile: Option<LocalProfile>,
    /// The zone that the environment names, or the context.
    default_zone: Option<String>,
    /// The PEM file with the CAs to trust that a flag, the environment or the context names.
    authorities: Option<PathBuf>,
}

/// The connection of a process that follows an account.
pub struct Connection {
    /// The address of the management API.
    pub api: String,
    /// The token.
    pub token: Zeroizing<String>,
    /// The file of the token, which another token may replace.
    pub token_file: Option<PathBuf>,
    /// A PEM file with the CAs to trust for https.
    pub authorities: Option<PathBuf>,
    /// The account.
    pub account: AccountId,
}

/// Chooses the server, the token and the account as the client commands do. It asks the server only
/// for an account that has no ID here.
pub fn connection(
    arguments: &ClientArgs,
    account: Option<&str>,
    context: &Context<'_>,
) -> Result<Connection, Failure> {
    let session = Session::open(arguments, context, &mut screen_of(arguments))?;
    // Standard input has the token once.
    let file = arguments.token_file.clone();
    Ok(Connection {
        account: session.account(account)?,
        api: session.api.base().to_owned(),
        token: session.api.token().value(),
        token_file: file.filter(|file| file.as_os_str() != "-"),
        authorities: session.authorities,
    })
}

/// The screen of this process with the choices of the user.
pub fn screen_of(arguments: &ClientArgs) -> Screen {
    Screen::of_process(arguments.output.clone()).with(Style {
        wide: arguments.wide,
        quiet: arguments.quiet,
    })
}

/// A zone or an account.
#[derive(Deserialize)]
struct Named {
    id: Id,
    name: String,
}

impl Session {
    /// Chooses the server and the token. It does not connect yet.
    pub fn open(
        arguments: &ClientArgs,
        context: &Context<'_>,
        screen: &mut Screen,
    ) -> Result<Self, Failure> {
        let environment = context.environment;
        let Local {
            directory,
            profile,
            login,
        } = Local::read(arguments, context)?;
        let variable = |name| match arguments.context {
            Some(_) => None,
            None => environment.variable(name),
        };
        let named = arguments.api.as_deref();
        let named = named.or_else(|| variable(environment::API));
        // A stored token goes to its own server and to no other.
        let is_of = |api: &str| {
            named.is_none_or(|named| named.trim_end_matches('/') == api.trim_end_matches('/'))
        };
        let profile = profile.filter(|profile| is_of(&profile.api));
        let (name, login) = (login.as_ref().map(|(name, _)| name.clone()), login);
        let login = login.filter(|(_, login)| is_of(&login.api));
        if let (Some(name), None, Some(_)) = (name, &login, &arguments.context) {
            return Err(Failure::usage(format!(
                "--api names another server than the context {name:?}"
            ))
            .hint("leave out --api or --context"));
        }
        let stored = profile.as_ref().map(|profile| profile.api.as_str());
        let stored = stored.or(login.as_ref().map(|(_, login)| login.api.as_str()));
        let Some(address) = named.or(stored) else {
            let file = profile::FILE;
            return Err(Failure::usage(format!(
                "no server is named, and {directory} has no {file}"
            ))
            .hint(
                "start `certgate serve` here, name its data directory with --data-dir, or run \
                     `certgate login URL`",
            ));
        };
        http::check_address(address)?;
        let (token, source) = token(
            arguments,
            variable(environment::TOKEN),
            profile.as_ref(),
            login.as_ref(),
            &directory,
            address,
        )?;
        let authorities = variable(environment::API_CA).map(Path::new);
        let authorities = arguments.api_ca.as_deref().or(authorities);
        let own = profile
            .as_ref()
            .and_then(|profile| profile.tls_certificate.as_deref());
        let of_login = login
            .as_ref()
            .and_then(|(_, login)| login.api_ca.as_deref());
        let authorities = authorities.or(of_login);
        let trusted = match (authorities, own) {
            (Some(file), _) => Trusted::File(file),
            (None, Some(file)) => Trusted::Local(file),
            (None, None) => Trusted::System,
        };
        let api = Api::new(address, trusted, token, source)?.telling(arguments.verbose);
        if api.is_cleartext_to_others() {
            screen
                .say("warning: the token crosses the network in clear text; use an https address");
        }
        let default_zone = variable(environment::ZONE).map(str::to_owned);
        Ok(Self {
            authorities: authorities.map(Path::to_owned),
            api,
            profile,
            default_zone: default_zone.or(login.and_then(|(_, login)| login.zone)),
        })
    }

    /// The data directory of the session's server, if it is on this machine.
    pub fn local_directory(
        &self,
        arguments: &ClientArgs,
        context: &Context<'_>,
    ) -> Option<PathBuf> {
        self.profile.as_ref()?;
        let named = arguments.data_dir.clone();
        named.or_else(|| (context.data_dir)(arguments.config.as_deref()).ok())
    }

    /// A session without a local data directory.
    pub fn over(api: Api) -> Self {
        Self {
            api,
            profile: None,
            default_zone: None,
            authorities: None,
        }
    }

    /// The zone with the name or ID `named`, or the default zone.
    pub fn zone(&self, named: Option<&str>) -> Result<ZoneId, Failure> {
        match named.or(self.default_zone.as_deref()) {
            Some(text) => self.zone_named(text),
            None => match &self.profile {
                Some(profile) => id_of(&profile.zone_id),
                None => Ok(self.only("zone", "/client/v4/zones", "--zone")?.into()),
            },
        }
    }

    /// The zone with this name or ID.
    pub fn zone_named(&self, text: &str) -> Result<ZoneId, Failure> {
        match text.parse() {
            Ok(id) => Ok(id),
            Err(_) => Ok(self.by_name("zone", "/client/v4/zones", text)?.into()),
        }
    }

    /// The account with the name or ID `named`, or the default account.
    pub fn account(&self, named: Option<&str>) -> Result<AccountId, Failure> {
        let path = "/client/v4/accounts";
        match (named, &self.profile) {
            (Some(text), _) => match text.parse() {
                Ok(id) => Ok(id),
                Err(_) => Ok(self.by_name("account", path, text)?.into()),
            },
            (None, Some(profile)) => id_of(&profile.account_id),
            (None, None) => Ok(self.only("account", path, "--account")?.into()),
        }
    }

    /// Every item of a list, page by page until one is not full.
    pub fn every(&self, path: &str) -> Result<Vec<Box<RawValue>>, Failure> {
        let mut items = Vec::new();
        for page in 1..=PAGES_MAX {
            let path = format!("{path}?page={page}&per_page={PAGE}");
            let answer = self.api.get(&path)?;
            let found: Vec<Box<RawValue>> = answer.parse()?;
            let is_last =
                (found.len() as u64) < PAGE || answer.info::<ResultInfo>()?.total_pages <= page;
            items.extend(found);
            if is_last {
                return Ok(items);
            }
        }
        Err(Failure::failed(format!(
            "the list at {path} does not end after {PAGES_MAX} pages of {PAGE}"
        )))
    }

    fn by_name(&self, kind: &str, path: &str, name: &str) -> Result<Id, Failure> {
        let query = format!("{path}?name={}&per_page={PAGE}", encoded(name));
        let found: Vec<Named> = self.look_up(kind, &query)?.parse()?;
        let exact = found
            .into_iter()
            .find(|item| item.name.eq_ignore_ascii_case(name));
        exact.map(|item| item.id).ok_or_else(|| {
            Failure::failed(format!(
                "there is no {kind} with the name {:?}, or the token may not see it",
                printable(name)
            ))
            .hint("`certgate zone list` shows the zones and accounts that the token may see")
        })
    }

    /// A token may use a zone or account without the permission to look it up.
    fn look_up(&self, kind: &str, path: &str) -> Result<Answer, Failure> {
        self.api.get(path).map_err(|refusal| match refusal {
            Refusal::Refused {
                status: 403,
                failure,
                ..
            } => failure
                .and(format!("cannot look up the {kind}"))
                .also_hint(format!(
                    "name the {kind} by its ID, which needs no permission to look it up"
                )),
            other => other.into_failure(),
        })
    }

    fn only(&self, kind: &str, path: &str, flag: &str) -> Result<Id, Failure> {
        let answer = self.look_up(kind, &format!("{path}?per_page={PAGE}"))?;
        let found: Vec<Named> = answer.parse()?;
        match &found[..] {
            [item] => Ok(item.id),
            [] => Err(Failure::failed(format!("the token can see no {kind}"))
                .hint(format!("name one by its ID with {flag}"))),
            several => {
                let names: Vec<_> = several.iter().map(|item| printable(&item.name)).collect();
                Err(
                    Failure::usage(format!("there are several {kind}s: {}", names.join(", ")))
                        .hint(format!("name one with {flag}")),
                )
            }
        }
    }
}

/// The stored connections of this machine: the data directory with its profile, or a context.
struct Local {
    directory: String,
    profile: Option<LocalProfile>,
    /// The name of a context, and the context.
    login: Option<(String, ServerContext)>,
}

impl Local {
    fn read(arguments: &ClientArgs, context: &Context<'_>) -> Result<Self, Failure> {
        let environment = context.environment;
        let wanted = arguments.context.as_deref();
        let wanted = wanted.or_else(|| environment.variable(environment::CONTEXT));
        if let Some(name) = wanted {
            let contexts = Contexts::read(context.config_dir)?;
            return Ok(Self {
                directory: String::new(),
                profile: None,
                login: Some((name.to_owned(), contexts.named(name)?.clone())),
            });
        }
        // If server and token are named, unreadable files of another user are not needed.
        let named = |flag: bool, variable| flag || environment.variable(variable).is_some();
        let has_token = arguments.token.is_some() || arguments.token_file.is_some();
        let is_complete = named(arguments.api.is_some(), environment::API)
            && named(has_token, environment::TOKEN);
        let mut local = match Self::of_directory(arguments, context) {
            Err(_) if is_complete => Self {
                directory: String::new(),
                profile: None,
                login: None,
            },
            outcome => outcome?,
        };
        // A directory that the user names is wanted, also without a profile.
        let is_named = arguments.data_dir.is_some() || arguments.config.is_some();
        if local.profile.is_none() && !is_named {
            local.login = match Contexts::read(context.config_dir) {
                Err(_) if is_complete => None,
                contexts => contexts?
                    .current()
                    .map(|(name, login)| (name.to_owned(), login.clone())),
            };
        }
        Ok(local)
    }

    fn of_directory(arguments: &ClientArgs, context: &Context<'_>) -> Result<Self, Failure> {
        let directory = match &arguments.data_dir {
            Some(directory) => directory.clone(),
            None => (context.data_dir)(arguments.config.as_deref())?,
        };
        let profile = profile::read(&directory).map_err(|error| {
            let file = directory.join(profile::FILE);
            Failure::io(format!("cannot read {}", file.display()), &error).hint(
                "run the command as the user of the server, or set CERTGATE_API and CERTGATE_TOKEN",
            )
        })?;
        Ok(Self {
            directory: directory.display().to_string(),
            profile,
            login: None,
        })
    }
}

/// Returns the token and its source.
fn token(
    arguments: &ClientArgs,
    of_environment: Option<&str>,
    profile: Option<&LocalProfile>,
    login: Option<&(String, ServerContext)>,
    directory: &str,
    address: &str,
) -> Result<(Token, String), Failure> {
    if let Some(path) = &arguments.token_file {
        let shown = path.display();
        let text = files::read_text(path, TOKEN_BYTES_MAX).map_err(|error| {
            Failure::usage(format!("cannot read the token from {shown}: {error}"))
        })?;
        return Ok((Token::new(&text)?, format!("--token-file {shown}")));
    }
    if let Some(Secret(token)) = &arguments.token {
        return Ok((Token::new(token)?, "--token".to_owned()));
    }
    if let Some(token) = of_environment {
        let source = format!("environment {}", environment::TOKEN);
        return Ok((Token::new(token)?, source));
    }
    match (profile, login) {
        (Some(profile), _) => {
            let source = format!("{directory}/{}", profile::FILE);
            Ok((Token::new(&profile.token)?, source))
        }
        (None, Some((name, login))) => {
            Ok((Token::new(&login.token)?, format!("the context {name:?}")))
        }
        (None, None) => Err(
            Failure::usage(format!("no token for {}", printable(address)))
                .hint("give one with --token-file or CERTGATE_TOKEN, or run `certgate login URL`"),
        ),
    }
}

/// An ID from the profile. It becomes a part of a path.
fn id_of<T: FromStr>(text: &str) -> Result<T, Failure> {
    text.parse().map_err(|_| {
        let shown = printable(text);
        Failure::failed(format!("{shown:?} is not an ID of 32 hexadecimal digits"))
            .hint("correct it in client.toml")
    })
}

/// Percent-encodes a value of a query (RFC 3986 §2.1).
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

#[cfg(test)]
mod tests;
