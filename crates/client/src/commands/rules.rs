//! `certgate zone rules show|set`, and files with issuance rules.

use std::path::Path;

use certgate_wire::IssuanceRuleSet;

use crate::failure::Failure;
use crate::files;
use crate::output::Screen;
use crate::session::Session;

/// The longest file with rules, in bytes: the server accepts no larger body.
const RULES_BYTES_MAX: u64 = 64 * 1024;

/// Reads a JSON file with issuance rules.
pub fn read(file: &Path) -> Result<IssuanceRuleSet, Failure> {
    let shown = file.display();
    let text = files::read_text(file, RULES_BYTES_MAX);
    let text = text.map_err(|error| Failure::io(format!("cannot read {shown}"), &error))?;
    serde_json::from_str(&text).map_err(|error| {
        Failure::usage(format!("{shown} has no issuance rules in JSON: {error}"))
            .hint("`certgate zone rules show` prints rules in this form")
    })
}

/// `certgate zone rules show`
pub fn show(session: &Session, zone: &str, screen: &mut Screen) -> Result<(), Failure> {
    let path = path(session, zone)?;
    screen.json(&session.api.get(&path)?.result)
}

/// `certgate zone rules set`
pub fn set(session: &Session, zone: &str, file: &Path, screen: &mut Screen) -> Result<(), Failure> {
    let rules = read(file)?;
    let path = path(session, zone)?;
    screen.json(&session.api.put(&path, &rules)?.result)
}

fn path(session: &Session, zone: &str) -> Result<String, Failure> {
    let zone = session.zone_named(zone)?;
    Ok(format!("/certgate/v1/zones/{zone}/issuance_rules"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::Format;
    use crate::testing::{Captured, Server};

    #[test]
    fn rules_of_a_zone_are_set_from_a_file_and_shown() {
        let server = Server::start();
        let captured = Captured::new(Format::Table);
        let zone = server.zone().to_string();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("rules.json");
        std::fs::write(&file, r#"{"common_names":["build-*"],"max_lifetime":"8h"}"#).unwrap();
        set(&server.session(), &zone, &file, &mut captured.screen()).unwrap();
        let expected = "{\"common_names\":[\"build-*\"],\"max_lifetime\":28800}\n";
        assert_eq!(captured.out(), expected);
        show(&server.session(), &zone, &mut captured.screen()).unwrap();
        assert_eq!(captured.out(), expected);
        for bad in ["", "{", r#"{"names":["a"]}"#, r#"{"max_lifetime":"1s"}"#] {
            std::fs::write(&file, bad).unwrap();
            assert!(read(&file).is_err(), "{bad}");
        }
    }
}
