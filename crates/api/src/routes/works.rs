//! The page on the enrolment listener that shows the certificate of a browser.

use std::sync::LazyLock;

use axum::extract::State;
use axum::response::Response;
use base64ct::{Base64, Encoding};
use certgate_pki::sha256;
use certgate_service::EnrolError;
use http::{HeaderName, HeaderValue, StatusCode, header};

use crate::response::typed;
use crate::routes::est::{Client, Label, Refused};
use crate::state::Api;

/// The style of the page, which has no other file.
const STYLE: &str = "body{font:100%/1.5 system-ui,sans-serif;max-width:40rem;margin:15vh auto;\
                     padding:0 1rem;overflow-wrap:anywhere}:root{color-scheme:light dark}\
                     h1{font-size:1.6rem}";

/// Says if the certificate that the browser presented is a valid one of the zone.
pub(crate) async fn works(
    State(api): State<Api>,
    Label(zone): Label,
    client: Client,
) -> Result<Response, Refused> {
    let (status, title, text) = match client.certificate() {
        Err(_) => (
            StatusCode::FORBIDDEN,
            "Your browser sent no certificate",
            "Install the certificate of your invite, close all windows of the browser, and open \
             this page again. If the browser asks for a certificate, choose it."
                .to_owned(),
        ),
        Ok(der) => {
            let found = api.service.enrolment.presented(&zone, der).await;
            match found {
                Ok(found) if found.status.is_revoked() => (
                    StatusCode::FORBIDDEN,
                    "Your certificate is revoked",
                    format!("{} needs a new one.", shown(&found.subject.common_name)),
                ),
                Ok(found) => (
                    StatusCode::OK,
                    "It works",
                    format!(
                        "Your browser proved that it is {} in the zone {}. The certificate is \
                         valid until {}.",
                        shown(&found.subject.common_name),
                        shown(&zone.name),
                        found.expires_on
                    ),
                ),
                Err(error @ (EnrolError::OtherCertificate | EnrolError::NotValid { .. })) => (
                    StatusCode::FORBIDDEN,
                    "This certificate does not work",
                    shown(&format!("Here, {error}.")),
                ),
                Err(error) => return Err(error.into()),
            }
        }
    };
    Ok(page(status, title, &text))
}

/// Returns a page. `text` is HTML.
fn page(status: StatusCode, title: &str, text: &str) -> Response {
    static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
        let hash = Base64::encode_string(&sha256(STYLE.as_bytes()));
        let text = format!(
            "default-src 'none'; style-src 'sha256-{hash}'; form-action 'none'; \
             frame-ancestors 'none'; base-uri 'none'"
        );
        HeaderValue::try_from(text).expect("Base64 is visible ASCII")
    });
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta \
         name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <h1>{title}</h1>\n<p>{text}</p>\n</main>\n</body>\n</html>\n"
    );
    let mut response = typed("text/html; charset=utf-8", html);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Returns HTML that shows a text from outside: isolated from the direction of the text around it,
/// and without characters that have no form of their own.
fn shown(text: &str) -> String {
    let mut out = String::from("<bdi>");
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\u{ad}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}' => out.push(char::REPLACEMENT_CHARACTER),
            one if one.is_control() => out.push(char::REPLACEMENT_CHARACTER),
            one => out.push(one),
        }
    }
    out + "</bdi>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_text() {
        assert_eq!(
            shown("<b>&\"\u{202e}\u{9b}x"),
            "<bdi>&lt;b&gt;&amp;\"\u{fffd}\u{fffd}x</bdi>"
        );
    }
}
