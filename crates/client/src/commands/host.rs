//! `certgate host list|set|add|remove`.

use certgate_model::{MtlsCertificateId, ZoneId};
use certgate_wire::{HostnameAssociations, ReplaceHostnameAssociations};

use crate::failure::Failure;
use crate::http::Answer;
use crate::output::{Screen, grouped};
use crate::session::Session;

/// The meaning of an empty list.
const NOWHERE: &str =
    "no hostnames: the proxy asks for certificates of this CA nowhere in the zone";

/// The hostnames of a CA in a zone.
#[derive(Debug, Clone, Copy)]
pub struct List {
    pub zone: ZoneId,
    /// The uploaded CA, or [`None`] for the managed one.
    pub uploaded: Option<MtlsCertificateId>,
}

impl List {
    fn path(&self) -> String {
        format!(
            "/client/v4/zones/{}/certificate_authorities/hostname_associations",
            self.zone
        )
    }

    fn read(&self, session: &Session) -> Result<(Answer, Vec<String>), Failure> {
        let path = match self.uploaded {
            Some(id) => format!("{}?mtls_certificate_id={id}", self.path()),
            None => self.path(),
        };
        let answer = session.api.get(&path)?;
        let hostnames = hostnames(&answer)?;
        Ok((answer, hostnames))
    }

    fn write(
        &self,
        session: &Session,
        hostnames: &[String],
    ) -> Result<(Answer, Vec<String>), Failure> {
        let body = ReplaceHostnameAssociations {
            hostnames: Some(hostnames.into()),
            mtls_certificate_id: self.uploaded.map(|id| id.to_string().into()),
        };
        let answer = session.api.put(&self.path(), &body)?;
        let hostnames = self::hostnames(&answer)?;
        Ok((answer, hostnames))
    }
}

fn hostnames(answer: &Answer) -> Result<Vec<String>, Failure> {
    let associations: HostnameAssociations<'static> = answer.parse()?;
    Ok(associations.hostnames.into_owned())
}

/// The uploaded CA that `--ca` names.
pub fn uploaded_ca(named: Option<&str>) -> Result<Option<MtlsCertificateId>, Failure> {
    let parse = |text: &str| {
        text.trim().parse().map_err(|_| {
            Failure::usage(format!(
                "{text:?} is not the ID of an uploaded CA: it is a UUID of 36 characters"
            ))
            .hint("leave --ca out for the managed CA")
        })
    };
    named.map(parse).transpose()
}

/// `certgate host list`
pub fn list(session: &Session, list: &List, screen: &mut Screen) -> Result<(), Failure> {
    let (answer, hostnames) = list.read(session)?;
    if screen.is_json() {
        return screen.json(&answer.result);
    }
    if hostnames.is_empty() {
        screen.say(NOWHERE);
        return Ok(());
    }
    screen.table(
        &["hostname"],
        hostnames.into_iter().map(|hostname| vec![hostname]),
    )
}

/// `certgate host set`
pub fn set(
    session: &Session,
    list: &List,
    hostnames: Vec<String>,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let (_, before) = list.read(session)?;
    change(session, list, &before, &hostnames, screen)
}

/// `certgate host add`
pub fn add(
    session: &Session,
    list: &List,
    added: &[String],
    screen: &mut Screen,
) -> Result<(), Failure> {
    let (answer, before) = list.read(session)?;
    let mut after = before.clone();
    for hostname in added {
        if !has(&after, hostname) {
            after.push(hostname.clone());
        }
    }
    match after.len() == before.len() {
        false => change(session, list, &before, &after, screen),
        true if screen.is_json() => screen.json(&answer.result),
        true => {
            screen.say("nothing to do: the list has all of them");
            Ok(())
        }
    }
}

/// `certgate host remove`
pub fn remove(
    session: &Session,
    list: &List,
    removed: &[String],
    screen: &mut Screen,
) -> Result<(), Failure> {
    let (_, before) = list.read(session)?;
    let unlisted = difference(removed, &before);
    if !unlisted.is_empty() {
        return Err(Failure::failed(format!(
            "not listed: {}; nothing was changed",
            unlisted.join(", ")
        ))
        .hint("`certgate host list` shows the hostnames, with --ca ID those of an uploaded CA"));
    }
    let after: Vec<_> = before
        .iter()
        .filter(|hostname| !has(removed, hostname))
        .cloned()
        .collect();
    change(session, list, &before, &after, screen)
}

fn change(
    session: &Session,
    list: &List,
    before: &[String],
    after: &[String],
    screen: &mut Screen,
) -> Result<(), Failure> {
    let (answer, now) = list.write(session, after)?;
    if screen.is_json() {
        return screen.json(&answer.result);
    }
    let (added, removed) = (difference(&now, before), difference(before, &now));
    for (what, hostnames) in [("added", &added), ("removed", &removed)] {
        if !hostnames.is_empty() {
            screen.say(&format!("{what} {}", hostnames.join(", ")));
        }
    }
    if added.is_empty() && removed.is_empty() {
        screen.say("the same hostnames as before");
    }
    screen.say(&match now.len() {
        0 => NOWHERE.to_owned(),
        1 => "1 hostname is listed".to_owned(),
        count => format!("{} hostnames are listed", grouped(count as u64)),
    });
    Ok(())
}

/// Returns the hostnames that only the first list has.
fn difference<'a>(first: &'a [String], second: &[String]) -> Vec<&'a str> {
    first
        .iter()
        .map(String::as_str)
        .filter(|hostname| !has(second, hostname))
        .collect()
}

/// Compares without letter case, as DNS does (RFC 4343).
fn has(list: &[String], hostname: &str) -> bool {
    list.iter()
        .any(|listed| listed.eq_ignore_ascii_case(hostname))
}

#[cfg(test)]
mod tests;
