//! The routes, the headers and the embedded files.

use std::collections::BTreeSet;

use axum::extract::Request;
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::*;

/// The octets by which the console may enlarge the executable.
const EMBEDDED_MAX: usize = 300_000;

/// The octets that a browser loads before it shows the first page.
const FIRST_LOAD_MAX: usize = 150_000;

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

async fn get(path: &str, headers: &[(HeaderName, &str)]) -> Answer {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(name, *value);
    }
    let request = request.body(Body::empty()).expect("a good request");
    let routes = router().merge(invite_router());
    let response = routes.oneshot(request).await.expect("infallible");
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("a body in memory");
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: body.to_bytes().to_vec(),
    }
}

fn text(path: &str) -> String {
    let found = FILES
        .iter()
        .chain(INVITE_FILES)
        .find(|file| file.path == path);
    let gzip = found.unwrap_or_else(|| panic!("{path} is missing")).gzip;
    String::from_utf8(decompressed(gzip)).expect("UTF-8")
}

fn scripts() -> impl Iterator<Item = &'static str> {
    let own = |path: &&str| path.starts_with("js/");
    FILES.iter().map(|file| file.path).filter(own)
}

/// The modules that a module imports: at its start, or with `import()`.
fn imports(path: &str, lazily: bool) -> Vec<String> {
    let (before, after) = if lazily {
        ("import('", "')")
    } else {
        (" from '", "';")
    };
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let text = text(path);
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with(['*', '/']));
    let named = code.filter_map(|line| Some(line.split_once(before)?.1.split_once(after)?.0));
    named
        .map(|relative| {
            let mut parts: Vec<_> = folder.split('/').collect();
            for part in relative.split('/') {
                match part {
                    "." => {}
                    ".." => _ = parts.pop(),
                    part => parts.push(part),
                }
            }
            parts.join("/")
        })
        .collect()
}

fn protects(headers: &HeaderMap) {
    let value = |name: &str| {
        headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap_or(""))
    };
    let policy = value("content-security-policy");
    for directive in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types lit-html",
    ] {
        assert!(
            policy.split("; ").any(|found| found == directive),
            "{directive}: {policy}"
        );
    }
    assert!(
        !policy.contains("unsafe") && !policy.contains('*'),
        "{policy}"
    );
    assert_eq!(value("x-content-type-options"), "nosniff");
    assert_eq!(value("referrer-policy"), "no-referrer");
    assert_eq!(value("cross-origin-opener-policy"), "same-origin");
    assert_eq!(value("cross-origin-resource-policy"), "same-origin");
}

#[tokio::test]
async fn the_first_page_is_asked_for_again_and_names_files_that_exist() {
    let page = get(PATH, &[]).await;
    assert_eq!(page.status, StatusCode::OK);
    protects(&page.headers);
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(page.headers["cache-control"], "no-cache");
    let html = String::from_utf8(page.body).expect("UTF-8");
    let mut named = 0;
    for reference in html
        .split(['"', ' '])
        .filter(|part| part.starts_with(DIGEST))
    {
        let file = get(&format!("{PATH}{reference}"), &[]).await;
        assert_eq!(file.status, StatusCode::OK, "{reference}");
        named += 1;
    }
    assert_eq!(named, 3, "{html}");
    assert!(
        !html.contains("<style") && !html.contains("<script>"),
        "{html}"
    );

    let tag = page.headers["etag"].to_str().expect("ASCII");
    let again = get(PATH, &[(header::IF_NONE_MATCH, tag)]).await;
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
    assert!(again.body.is_empty());
    let other = get(PATH, &[(header::IF_NONE_MATCH, "W/\"0\"")]).await;
    assert_eq!(other.status, StatusCode::OK);
    let moved = get("/console", &[]).await;
    assert_eq!(moved.headers["location"], PATH);
}

#[tokio::test]
async fn every_file_is_kept_for_ever_in_both_codings() {
    for file in FILES {
        let path = format!("{PATH}{DIGEST}/{}", file.path);
        let plain = get(&path, &[]).await;
        let packed = get(&path, &[(header::ACCEPT_ENCODING, "br, gzip;q=0.8")]).await;
        for answer in [&plain, &packed] {
            assert_eq!(answer.status, StatusCode::OK, "{path}");
            protects(&answer.headers);
            let kept = &answer.headers["cache-control"];
            assert_eq!(kept, "public, max-age=31536000, immutable", "{path}");
            assert_eq!(answer.headers["vary"], "accept-encoding", "{path}");
            let kind = answer.headers["content-type"].to_str().expect("ASCII");
            let expected = match path.rsplit_once('.').expect("a name with its kind").1 {
                "js" => "text/javascript; charset=utf-8",
                "css" => "text/css; charset=utf-8",
                "svg" => "image/svg+xml",
                other => panic!("{other}"),
            };
            assert_eq!(kind, expected, "{path}");
        }
        assert_eq!(packed.headers["content-encoding"], "gzip");
        assert!(!plain.headers.contains_key("content-encoding"));
        assert_eq!(decompressed(&packed.body), plain.body, "{path}");
    }
}

#[tokio::test]
async fn a_file_of_another_version_is_missing_and_not_kept() {
    for path in [
        "/console/0000000000000000/js/app.js".to_owned(),
        format!("{PATH}{DIGEST}/js/missing.js"),
        format!("{PATH}{DIGEST}/../../Cargo.toml"),
        format!("{PATH}{DIGEST}/js%2Fapp.js%00"),
    ] {
        let answer = get(&path, &[]).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(answer.headers["cache-control"], "no-store", "{path}");
        protects(&answer.headers);
    }
}

#[test]
fn gzip_is_sent_to_clients_that_name_it() {
    for (value, accepts) in [
        ("gzip", true),
        ("GZIP", true),
        ("br;q=1, gzip;q=0.5", true),
        ("gzip;q=0", false),
        ("gzip;q=0.000", false),
        ("br", false),
        ("", false),
    ] {
        let value = HeaderValue::from_static(value);
        let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, value.clone())]);
        assert_eq!(accepts_gzip(&headers), accepts, "{value:?}");
    }
    assert!(!accepts_gzip(&HeaderMap::new()));
}

#[test]
fn modules_import_files_that_exist_and_make_no_html_of_texts() {
    let mut found = 0;
    let of_invites = INVITE_FILES.iter().map(|file| file.path);
    let of_invites = of_invites.filter(|path| path.ends_with(".js") && !path.contains("vendor"));
    let all = scripts().map(|path| (path, FILES));
    for (path, files) in all.chain(of_invites.map(|path| (path, INVITE_FILES))) {
        for import in imports(path, false).into_iter().chain(imports(path, true)) {
            let exists = files.iter().any(|file| file.path == import);
            assert!(exists, "{path} imports {import}");
            found += 1;
        }
        let text = text(path);
        for banned in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            " style=",
            "localStorage.",
        ] {
            let used = text.lines().any(|line| line.contains(banned));
            assert!(!used, "{path} has {banned:?}");
        }
    }
    assert!(found > 20, "{found}");
}

#[test]
fn the_console_is_small() {
    let size = |path: &str| {
        let found = FILES.iter().find(|file| file.path == path);
        found.map_or(0, |file| file.gzip.len())
    };
    let all: usize = FILES.iter().map(|file| file.gzip.len()).sum::<usize>() + INDEX.len();
    assert!(all <= EMBEDDED_MAX, "{all}");

    let mut needed = BTreeSet::new();
    let mut left = vec!["js/app.js".to_owned(), "js/pages/overview.js".to_owned()];
    while let Some(path) = left.pop() {
        if needed.insert(path.clone()) && path.starts_with("js/") {
            left.extend(imports(&path, false));
        }
    }
    assert!(needed.len() > 15, "{needed:?}");
    let modules: usize = needed.iter().map(|path| size(path)).sum();
    let first = modules + INDEX.len() + size("style.css") + size("icon.svg");
    assert!(first <= FIRST_LOAD_MAX, "{first}");
}

#[tokio::test]
async fn the_page_of_an_invite_is_the_same_for_each_and_is_not_kept() {
    let page = get("/i/01990000000000000000000000000000", &[]).await;
    assert_eq!(page.status, StatusCode::OK);
    protects(&page.headers);
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    assert_eq!(page.headers["cache-control"], "no-store");
    assert_eq!(get("/i/other", &[]).await.body, page.body);
    let html = String::from_utf8(page.body).expect("UTF-8");
    let mut named = 0;
    for reference in html.split('"').filter_map(|part| part.strip_prefix("..")) {
        let file = get(reference, &[]).await;
        assert_eq!(file.status, StatusCode::OK, "{reference}");
        protects(&file.headers);
        named += 1;
    }
    assert_eq!(named, 4, "{html}");
    let console = get(&format!("/assets/{INVITE_DIGEST}/js/app.js"), &[]).await;
    assert_eq!(console.status, StatusCode::NOT_FOUND);
}

/// The octets that a browser loads before it shows the page of an invite.
const INVITE_MAX: usize = 70_000;

#[test]
fn the_page_of_an_invite_is_small_and_has_no_file_that_it_does_not_load() {
    let all: usize = INVITE_FILES.iter().map(|file| file.gzip.len()).sum();
    assert!(all <= INVITE_MAX, "{all}");
    let mut needed =
        BTreeSet::from(["icon.svg", "style.css", "invite/invite.css"].map(String::from));
    let mut left = vec!["invite/app.js".to_owned()];
    while let Some(path) = left.pop() {
        if needed.insert(path.clone()) {
            left.extend(imports(&path, false));
        }
    }
    let embedded: BTreeSet<_> = INVITE_FILES
        .iter()
        .map(|file| file.path.to_owned())
        .collect();
    assert_eq!(embedded, needed);
}
