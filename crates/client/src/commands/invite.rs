//! `certgate invite NAME`, `certgate invite list|withdraw`.

use certgate_model::{InviteId, ZoneId};
use certgate_wire::{CreateInvite, DeviceName, Invite, LifetimeValue, NewInvite, WholeNumber};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;

use crate::arguments::InviteArgs;
use crate::failure::Failure;
use crate::http::parsed;
use crate::output::{Screen, printable};
use crate::session::Session;

/// `certgate invite NAME`
pub fn create(
    session: &Session,
    zone: ZoneId,
    arguments: &InviteArgs,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let name = arguments.name.as_deref();
    let name = name.ok_or_else(|| Failure::usage("no name").hint("run: certgate invite NAME"))?;
    let body = CreateInvite {
        name: name.into(),
        device: Some(DeviceName(arguments.device)),
        lifetime: arguments.days.map(LifetimeValue),
        valid_for_seconds: Some(WholeNumber(arguments.valid_for)),
        uses: Some(WholeNumber(arguments.uses.into())),
    };
    let answer = session.api.post(&path(zone), &body)?;
    if screen.is_json() {
        return screen.json(&answer.result);
    }
    let made: NewInvite<'static> = answer.parse()?;
    let Invite {
        id,
        name,
        uses,
        expires_on,
        ..
    } = &made.invite;
    let times = match uses {
        1 => "once".to_owned(),
        uses => format!("{uses} times"),
    };
    let until = screen.full_time(*expires_on);
    let name = printable(name);
    screen.say(&format!(
        "invite {id} for {name}, works {times} until {until}, shown only here:"
    ));
    let shown = match &made.link {
        Some(link) => link.clone().into_owned(),
        None => format!("{id}#{}", made.secret),
    };
    screen.data(&format!("{shown}\n"))?;
    if made.link.is_some()
        && screen.is_terminal()
        && let Some(code) = qr_code(&shown)
    {
        screen.say(&code);
    }
    match &made.est {
        Some(est) => screen.say(&format!(
            "on a machine, run this and paste the line above: certgate enrol --est {est} \
             --invite-file -"
        )),
        None => {
            screen.say("note: the server has no enrolment yet: set enrol_listen, see docs/est.md")
        }
    }
    Ok(())
}

/// Returns a QR code of half blocks, for terminals.
fn qr_code(text: &str) -> Option<String> {
    let code = QrCode::new(text).ok()?;
    // Terminals are dark as a rule: the light modules are drawn.
    let mut renderer = code.render::<Dense1x2>();
    renderer
        .dark_color(Dense1x2::Light)
        .light_color(Dense1x2::Dark);
    Some(renderer.build())
}

/// `certgate invite list`
pub fn list(session: &Session, zone: ZoneId, screen: &mut Screen) -> Result<(), Failure> {
    let items = session.every(&path(zone))?;
    if screen.is_json() {
        return screen.json_of(&items);
    }
    if items.is_empty() {
        screen.say("no invites");
        return Ok(());
    }
    let rows = items.iter().map(|item| Ok(row(&parsed(item)?, screen)));
    let rows = rows.collect::<Result<Vec<_>, Failure>>()?;
    screen.table(
        &[
            "id",
            "name",
            "device",
            "state",
            "uses",
            "created",
            "expires",
            "certificates",
        ],
        rows,
    )
}

fn row(invite: &Invite<'_>, screen: &Screen) -> Vec<String> {
    let ids = &invite.client_certificate_ids;
    let certificates: Vec<_> = ids.iter().map(ToString::to_string).collect();
    vec![
        invite.id.to_string(),
        invite.name.to_string(),
        invite.device.to_string(),
        invite.state.to_string(),
        format!("{}/{}", ids.len(), invite.uses),
        screen.time(invite.created_on),
        screen.time(invite.expires_on),
        certificates.join(" "),
    ]
}

/// `certgate invite withdraw`
pub fn withdraw(
    session: &Session,
    zone: ZoneId,
    id: InviteId,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let answer = session.api.delete(&format!("{}/{id}", path(zone)))?;
    if screen.is_json() {
        return screen.json(&answer.result);
    }
    let invite: Invite<'static> = answer.parse()?;
    let name = printable(&invite.name);
    screen.say(&format!("the invite {id} for {name} is {}", invite.state));
    Ok(())
}

fn path(zone: ZoneId) -> String {
    format!("/certgate/v1/zones/{zone}/invites")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_fits_a_qr_code_of_a_terminal() {
        let link = format!(
            "https://invite.example.com/i/{}#{}",
            "0".repeat(32),
            "x".repeat(40)
        );
        let code = qr_code(&link).unwrap();
        let lines: Vec<_> = code.lines().collect();
        let width = lines[0].chars().count();
        assert!(
            lines.len() <= 30 && width <= 60,
            "{width} x {}",
            lines.len()
        );
        assert!(lines.iter().all(|line| line.chars().count() == width));
    }
}
