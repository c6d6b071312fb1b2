//! `certgate login`, `logout` and `context`.

use std::io::IsTerminal;
use std::path::Path;

use certgate_wire::TokenVerification;
use console::Term;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::arguments::{ContextCommand, Format, LoginArgs, LogoutArgs};
use crate::contexts::{Contexts, ServerContext};
use crate::failure::Failure;
use crate::files;
use crate::http::{Api, Token, Trusted, is_loopback};
use crate::output::{Screen, Style, printable};
use crate::session::{Context, Session, TOKEN_BYTES_MAX};

/// The path that names the token of a request.
const VERIFY: &str = "/client/v4/user/tokens/verify";

/// A row of `certgate context list`.
#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    api: &'a str,
    zone: Option<&'a str>,
    is_current: bool,
}

/// `certgate login`
pub fn login(arguments: &LoginArgs, context: &Context<'_>) -> Result<(), Failure> {
    let mut screen = Screen::of_process(Format::Table).with(Style {
        wide: false,
        quiet: arguments.quiet,
    });
    let mut contexts = Contexts::read(context.config_dir)?;
    let api_ca = arguments.api_ca.as_deref().map(absolute).transpose()?;
    let trusted = match &api_ca {
        Some(file) => Trusted::File(file),
        None => Trusted::System,
    };
    // A wrong address must not cost the user a token.
    let unproven = Token::new("none")?;
    let base = Api::new(&arguments.api, trusted, unproven, String::new())?
        .base()
        .to_owned();
    if base.starts_with("http://") && !is_loopback(&base) {
        screen.say("warning: the token crosses the network in clear text; use an https address");
    }
    let token = read_token(&base)?;
    let source = "standard input".to_owned();
    let api = Api::new(&arguments.api, trusted, Token::new(&token)?, source)?;
    let verified: TokenVerification = api.get(VERIFY)?.parse()?;
    let session = Session::over(api);
    if let Some(zone) = &arguments.zone {
        session.zone_named(zone)?;
    }
    let name = match &arguments.name {
        Some(name) => name.clone(),
        None => host(&base).to_owned(),
    };
    let made = ServerContext {
        api: base.clone(),
        token: token.trim().to_owned(),
        api_ca,
        zone: arguments.zone.clone(),
    };
    contexts.contexts.insert(name.clone(), made);
    contexts.current = Some(name.clone());
    let path = contexts.write(context.config_dir)?;
    screen.say(&format!(
        "logged in to {base} with the token {}; the context {name:?} is in {}",
        verified.id,
        path.display()
    ));
    Ok(())
}

/// `certgate logout`
pub fn logout(arguments: &LogoutArgs, context: &Context<'_>) -> Result<(), Failure> {
    let mut screen = Screen::of_process(Format::Table);
    let mut contexts = Contexts::read(context.config_dir)?;
    let names: Vec<_> = match (&arguments.name, arguments.all) {
        (_, true) => contexts.contexts.keys().cloned().collect(),
        (Some(name), false) => {
            contexts.named(name)?;
            vec![name.clone()]
        }
        (None, false) => {
            let (name, _) = contexts.current().ok_or_else(|| {
                Failure::usage("no context is the current one")
                    .hint("name one of `certgate context list`")
            })?;
            vec![name.to_owned()]
        }
    };
    for name in &names {
        contexts.contexts.remove(name);
        contexts.current = contexts.current.filter(|current| current != name);
    }
    contexts.write(context.config_dir)?;
    screen.say(&match &names[..] {
        [] => "no context was stored".to_owned(),
        names => format!(
            "removed {}; the token still works until you revoke it with `certgate token revoke`",
            names.join(", ")
        ),
    });
    Ok(())
}

/// `certgate context`
pub fn context(command: &ContextCommand, context: &Context<'_>) -> Result<(), Failure> {
    let mut contexts = Contexts::read(context.config_dir)?;
    match command {
        ContextCommand::List { output } => list(&contexts, Screen::of_process(output.clone())),
        ContextCommand::Use { name } => {
            let api = contexts.named(name)?.api.clone();
            contexts.current = Some(name.clone());
            contexts.write(context.config_dir)?;
            Screen::of_process(Format::Table).say(&format!("the next commands use {api}"));
            Ok(())
        }
    }
}

fn list(contexts: &Contexts, mut screen: Screen) -> Result<(), Failure> {
    let rows: Vec<_> = contexts
        .contexts
        .iter()
        .map(|(name, context)| Row {
            name,
            api: &context.api,
            zone: context.zone.as_deref(),
            is_current: contexts.current.as_ref() == Some(name),
        })
        .collect();
    if screen.is_json() {
        return screen.json_of(&rows);
    }
    if rows.is_empty() {
        screen.say("no contexts: make one with `certgate login URL`");
        return Ok(());
    }
    let rows = rows.iter().map(|row| {
        let current = if row.is_current { "yes" } else { "" };
        let zone = row.zone.unwrap_or_default();
        [row.name, row.api, zone, current]
            .map(str::to_owned)
            .to_vec()
    });
    screen.table(
        &["name", "api", "zone", "current"],
        rows.collect::<Vec<_>>(),
    )
}

/// Reads the token from standard input: from a pipe, or without showing it from a terminal.
fn read_token(base: &str) -> Result<Zeroizing<String>, Failure> {
    let failed =
        |error: &std::io::Error| Failure::io("cannot read the token from standard input", error);
    let text = if std::io::stdin().is_terminal() {
        let terminal = Term::stderr();
        let asked = terminal.write_str(&format!("Token for {}: ", printable(base)));
        asked
            .and_then(|()| terminal.read_secure_line())
            .map(Zeroizing::new)
            .map_err(|error| failed(&error))?
    } else {
        files::read_text(Path::new("-"), TOKEN_BYTES_MAX).map_err(|error| failed(&error))?
    };
    match text.trim().is_empty() {
        true => Err(Failure::usage("standard input has no token").hint(
            "run the command in a terminal, or: certgate login URL < FILE, with a token that \
             `certgate token create` printed",
        )),
        false => Ok(text),
    }
}

fn absolute(path: &Path) -> Result<std::path::PathBuf, Failure> {
    std::path::absolute(path)
        .map_err(|error| Failure::io(format!("cannot find {}", path.display()), &error))
}

/// Returns the host of a base address, with its port.
fn host(base: &str) -> &str {
    let host = base.split("://").nth(1).unwrap_or(base);
    host.split('/').next().unwrap_or(host)
}
