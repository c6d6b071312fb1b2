//! A screen that is captured, and a small HTTP server that answers as the API document says.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use certgate_model::{AuthorityId, KeyAlgorithm, SerialNumber, Timestamp};
use certgate_pki::{
    Issuer, Profile, SigningKey, Validity, pem_lines, prepare, read_csr, self_sign, sign,
};
use serde_json::{Value, json};

use super::http::{Api, Token};
use super::output::Screen;
use super::session::Session;
use crate::cli::Format;

pub const ACCOUNT: &str = "0aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
pub const ZONE: &str = "0bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
pub const TOKEN: &str = "sesame-0123456789";

/// Collects what a command prints.
pub struct Captured {
    format: Format,
    out: Shared,
    err: Shared,
}

#[derive(Clone, Default)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Captured {
    pub fn new(format: Format) -> Self {
        Self {
            format,
            out: Shared::default(),
            err: Shared::default(),
        }
    }

    pub fn screen(&self) -> Screen {
        Screen::into(
            self.format,
            Box::new(self.out.clone()),
            Box::new(self.err.clone()),
        )
    }

    /// Standard output since the last call.
    pub fn out(&self) -> String {
        String::from_utf8(self.out.0.take()).unwrap()
    }

    /// Standard error since the last call.
    pub fn err(&self) -> String {
        String::from_utf8(self.err.0.take()).unwrap()
    }
}

/// A request as the server saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub query: String,
    pub authorization: String,
    pub idempotency_key: String,
    pub body: String,
}

impl Seen {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn parameter(&self, name: &str) -> Option<u64> {
        let found = self
            .query
            .split('&')
            .find_map(|pair| pair.strip_prefix(&format!("{name}=")));
        found.and_then(|value| value.parse().ok())
    }
}

/// What the server does.
pub enum Reply {
    Json(u16, Value),
    /// With one more header line.
    With(u16, &'static str, Value),
    Raw(u16, &'static str),
    /// Closes the connection without a word.
    Hang,
}

/// `result` in a successful envelope.
pub fn ok(result: Value) -> Reply {
    Reply::Json(
        200,
        json!({ "success": true, "errors": [], "messages": [], "result": result }),
    )
}

/// A page of a list in a successful envelope.
pub fn page(all: &[Value], seen: &Seen, size_default: u64) -> Reply {
    let size = seen
        .parameter("limit")
        .or(seen.parameter("per_page"))
        .unwrap_or(size_default);
    let number = seen.parameter("page").unwrap_or(1);
    let items: Vec<_> = all
        .iter()
        .skip(((number - 1) * size) as usize)
        .take(size as usize)
        .collect();
    let total = all.len() as u64;
    Reply::Json(
        200,
        json!({
            "success": true, "errors": [], "messages": [], "result": items,
            "result_info": { "page": number, "per_page": size, "count": items.len(), "total_count": total,
                "total_pages": total.div_ceil(size) },
        }),
    )
}

/// A failed envelope.
pub fn refused(status: u16, code: i64, message: &str) -> Reply {
    Reply::Json(status, failure(code, message))
}

pub fn failure(code: i64, message: &str) -> Value {
    json!({ "success": false, "errors": [{ "code": code, "message": message }], "messages": [], "result": null })
}

/// A server that lives as long as this value.
pub struct Server {
    pub address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    pub fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (log, answer) = (seen.clone(), Arc::new(answer));
        // The threads end with the test's process; a connection ends with its client.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (log.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &log, &*answer));
            }
        });
        Self { address, seen }
    }

    /// The requests since the last call.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    pub fn api(&self) -> Api {
        let token = Token::new(TOKEN).unwrap();
        Api::new(&self.address, None, token, "the test".to_owned())
            .unwrap()
            .pausing(|_: Duration| {})
    }

    pub fn session(&self) -> Session {
        Session::over(self.api())
    }
}

fn serve(
    stream: TcpStream,
    log: &Mutex<Vec<Seen>>,
    answer: &(dyn Fn(&Seen) -> Reply + Send + Sync),
) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    while let Some(seen) = read_request(&mut reader) {
        log.lock().unwrap().push(seen.clone());
        let (status, extra, body) = match answer(&seen) {
            Reply::Json(status, body) => (status, "", body.to_string()),
            Reply::With(status, extra, body) => (status, extra, body.to_string()),
            Reply::Raw(status, body) => (status, "", body.to_owned()),
            Reply::Hang => return,
        };
        let extra = if extra.is_empty() {
            String::new()
        } else {
            format!("{extra}\r\n")
        };
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{extra}content-length: {}\r\n\r\n",
            body.len()
        );
        if writer
            .write_all(format!("{head}{body}").as_bytes())
            .is_err()
        {
            return;
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut length = 0;
    let (mut authorization, mut idempotency_key) = (String::new(), String::new());
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim_end().split_once(':') else {
            break;
        };
        match name.to_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "authorization" => authorization = value.trim().to_owned(),
            "idempotency-key" => idempotency_key = value.trim().to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (path, query) = (path.to_owned(), query.to_owned());
    let body = String::from_utf8(body).ok()?;
    Some(Seen {
        method,
        path,
        query,
        authorization,
        idempotency_key,
        body,
    })
}

/// A certificate object as the API document shows it.
pub fn certificate(number: u64, status: &str) -> Value {
    json!({
        "id": format!("{number:032x}"),
        "certificate": CERTIFICATE,
        "certificate_authority": { "id": "01890000-0000-7000-8000-000000000000", "name": "Managed CA" },
        "common_name": format!("device-{number}"), "country": "DE", "csr": "csr",
        "expires_on": "2033-02-20T23:18:00Z", "fingerprint_sha256": "ab".repeat(32),
        "issued_on": "2023-02-23T23:18:00Z", "location": "", "organization": "Acme", "organizational_unit": "",
        "serial_number": format!("{number:040x}"), "signature": "ECDSAWithSHA256", "ski": "cd".repeat(20),
        "state": "", "status": status, "validity_days": 3650,
    })
}

/// Reads as one PEM block; nothing looks inside.
pub const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----";

/// What an issuing server does with a request.
pub enum Verdict {
    Answer,
    Instead(Reply),
    /// Issues, and loses the connection before the answer.
    LoseAnswer,
}

/// A server with a real authority: what it issues can be judged.
pub struct Issuing {
    pub server: Server,
    issued: Arc<Mutex<Vec<Value>>>,
}

impl Issuing {
    pub fn start(verdict: impl Fn(&Seen) -> Verdict + Send + Sync + 'static) -> Self {
        let issued: Arc<Mutex<Vec<Value>>> = Arc::default();
        let authority = Authority::new();
        let list = issued.clone();
        let keys = Mutex::new(HashMap::new());
        let server = Server::start(move |seen: &Seen| {
            let instead = verdict(seen);
            if let Verdict::Instead(reply) = instead {
                return reply;
            }
            match (
                seen.method.as_str(),
                seen.path.split('/').next_back().unwrap(),
            ) {
                ("POST", _) => {
                    let mut keys = keys.lock().unwrap();
                    if seen.idempotency_key.is_empty() {
                        keys.remove("");
                    }
                    let known = keys.entry(seen.idempotency_key.clone());
                    let certificate = known.or_insert_with(|| {
                        let mut list = list.lock().unwrap();
                        let certificate = authority.issue(list.len() as u64 + 1, &seen.json());
                        list.insert(0, certificate.clone());
                        certificate
                    });
                    let certificate = certificate.clone();
                    match instead {
                        Verdict::LoseAnswer => Reply::Hang,
                        _ => ok(certificate),
                    }
                }
                (_, "client_certificates") => page(&list.lock().unwrap(), seen, 20),
                (_, "managed_authority") => ok(authority.object()),
                (_, "managed_authorities") => ok(json!([authority.object()])),
                (_, ZONE) => {
                    ok(json!({ "id": ZONE, "name": "example.com", "account": { "id": ACCOUNT } }))
                }
                (_, id) => {
                    match list
                        .lock()
                        .unwrap()
                        .iter()
                        .find(|certificate| certificate["id"] == id)
                    {
                        Some(certificate) => ok(certificate.clone()),
                        None => refused(404, 1415, "no such certificate"),
                    }
                }
            }
        });
        Self { server, issued }
    }

    /// What was issued, oldest first.
    pub fn issued(&self) -> Vec<Value> {
        self.issued.lock().unwrap().iter().rev().cloned().collect()
    }
}

struct Authority {
    id: AuthorityId,
    certificate: Vec<u8>,
    issuer: Issuer,
}

impl Authority {
    fn new() -> Self {
        let key = SigningKey::generate(KeyAlgorithm::P256).unwrap();
        let id = AuthorityId::from_bytes([7; 16]);
        let now = Timestamp::from_unix(1_700_000_040);
        let serial = SerialNumber::from_random([1; 20]);
        let certificate = self_sign(&key, id, serial, now, now.plus_days(10_000)).unwrap();
        let issuer = Issuer::new(&certificate, key).unwrap();
        Self {
            id,
            certificate,
            issuer,
        }
    }

    fn object(&self) -> Value {
        json!({ "id": self.id.to_string(), "certificate": pem(&self.certificate) })
    }

    fn issue(&self, number: u64, request: &Value) -> Value {
        let csr = request["csr"].as_str().unwrap();
        let checked = read_csr(csr).unwrap();
        let not_before = Timestamp::from_unix(1_700_000_040);
        let days = request["validity_days"].as_u64().unwrap() as u32;
        let validity = Validity {
            not_before,
            not_after: not_before.plus_days(days),
        };
        let profile = Profile {
            crl_url: "http://a/crl".to_owned(),
            ocsp_url: "http://a/ocsp".to_owned(),
        };
        let mut serial = [1; 20];
        serial[12..].copy_from_slice(&number.to_be_bytes());
        let serial = SerialNumber::from_random(serial);
        let signed =
            sign(prepare(&self.issuer, &checked, serial, validity, &profile).unwrap()).unwrap();
        let mut object = certificate(number, "active");
        object["certificate"] = pem(&signed.der).into();
        object["certificate_authority"]["id"] = self.id.to_string().into();
        object["csr"] = csr.into();
        object["validity_days"] = days.into();
        object
    }
}

fn pem(der: &[u8]) -> String {
    pem_lines("CERTIFICATE", der)
}
