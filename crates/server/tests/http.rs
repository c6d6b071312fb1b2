//! The limits of heads and bodies on a connection in memory: the fuzz target `http` on its corpus
//! and mutations of it, and generated requests around the limits.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

#[path = "../../../fuzz/src/http.rs"]
mod http;
#[path = "../../../fuzz/src/mutations.rs"]
mod mutations;

use http::{BODY_BYTES_MAX, HEAD_BYTES_REFUSED};

/// Mutations of the corpus: a few seconds without optimisation.
const MUTATIONS: u64 = 500;

#[test]
fn the_target_accepts_every_input_of_the_corpus_and_mutations() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/http");
    let mut inputs = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let input = std::fs::read(&path).unwrap();
        let held = std::panic::catch_unwind(|| http::http(&input));
        assert!(held.is_ok(), "{}", path.display());
        inputs.push(input);
    }
    assert!(inputs.len() > 20, "{}", inputs.len());
    for input in mutations::mutations(inputs, MUTATIONS) {
        let held = std::panic::catch_unwind(|| http::http(&input));
        assert!(held.is_ok(), "{}", input.escape_ascii());
    }
}

fn status(answer: &[u8]) -> u16 {
    let text = std::str::from_utf8(&answer[9..12]).unwrap();
    text.parse().unwrap()
}

/// A generator of numbers (Knuth's MMIX).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

#[test]
fn heads_around_the_limit_are_read_or_refused_by_their_length() {
    let mut chance = Chance(1);
    for _ in 0..200 {
        // The whole head, its empty line included.
        let length = 48 * 1024 + chance.below(112 * 1024);
        let frame = "GET /healthz HTTP/1.1\r\nHost: a\r\nX: \r\n\r\n";
        let value = "a".repeat(length - frame.len());
        let head = frame.replace("X: ", &format!("X: {value}"));
        let packet = 1 + chance.below(70_000);
        let answer = http::exchange(head.as_bytes(), chance.below(2) == 0, packet, true);
        http::judge(head.as_bytes(), &answer);
        match length {
            ..=65_535 => assert_eq!(status(&answer), 200, "{length}"),
            length if length > HEAD_BYTES_REFUSED => assert_eq!(status(&answer), 431, "{length}"),
            _ => assert!(matches!(status(&answer), 200 | 431), "{length}"),
        }
    }
}

#[test]
fn bodies_around_the_limit_are_read_or_refused_by_their_length() {
    let mut chance = Chance(2);
    for number in 0..200 {
        let length = BODY_BYTES_MAX - 8 + chance.below(16);
        let body = vec![b' '; length];
        let is_chunked = chance.below(2) == 0;
        let (line, body) = match is_chunked {
            false => (format!("Content-Length: {length}"), body),
            true => {
                let size = 1 + chance.below(20_000);
                let chunk = |part: &[u8]| {
                    [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat()
                };
                let mut text = body.chunks(size).map(chunk).collect::<Vec<_>>().concat();
                text.extend_from_slice(b"0\r\n\r\n");
                ("Transfer-Encoding: chunked".to_owned(), text)
            }
        };
        let token = http::token();
        let head = format!(
            "POST /client/v4/accounts HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\
             Connection: close\r\n{line}\r\n\r\n"
        );
        let sent = [head.as_bytes(), &body].concat();
        let answer = http::exchange(&sent, true, 1 + chance.below(70_000), false);
        http::judge(&sent, &answer);
        // White space counts as no body, and the body must have a name.
        let expected = if length <= BODY_BYTES_MAX { 400 } else { 413 };
        assert_eq!(
            status(&answer),
            expected,
            "{length} octets, {line}, input {number}"
        );
    }
}
