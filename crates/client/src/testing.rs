//! A captured screen, and a relay before a real certgate that records requests and loses answers.

use std::cell::RefCell;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use certgate_model::ZoneId;
use certgate_testkit::{Loopback, SearchLimits, TestApp};
use serde_json::{Value, json};

use crate::arguments::Format;
use crate::http::{Api, Token, Trusted};
use crate::output::Screen;
use crate::session::Session;

/// The output of a command.
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
            self.format.clone(),
            Box::new(self.out.clone()),
            Box::new(self.err.clone()),
        )
    }

    /// Standard output since the last call.
    pub fn out(&self) -> String {
        String::from_utf8(self.out.0.take()).unwrap()
    }

    /// Standard output since the last call, as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out()).unwrap()
    }

    /// Standard error since the last call.
    pub fn err(&self) -> String {
        String::from_utf8(self.err.0.take()).unwrap()
    }
}

/// A request.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub query: String,
    pub authorization: String,
    pub body: String,
    head: String,
}

impl Seen {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn is_post(&self) -> bool {
        self.method == "POST"
    }
}

/// An answer that does not come from certgate.
pub enum Reply {
    Json(u16, Value),
    /// With one more header line.
    With(u16, &'static str, Value),
    Raw(u16, &'static str),
    /// The connection ends.
    Hang,
}

/// The relay's treatment of a request.
pub enum Fate {
    /// certgate's own answer.
    Pass,
    /// certgate executes the request, and the connection ends before the answer.
    LoseAnswer,
    /// certgate does not see the request.
    Instead(Reply),
}

/// A successful envelope around `result`.
pub fn ok(result: Value) -> Reply {
    let envelope = json!({ "success": true, "errors": [], "messages": [], "result": result });
    Reply::Json(200, envelope)
}

/// A refusal in the API's format.
pub fn refused(status: u16, code: i64, message: &str) -> Reply {
    Reply::Json(status, failure(code, message))
}

/// The body of a refusal in the API's format.
pub fn failure(code: i64, message: &str) -> Value {
    let errors = json!([{ "code": code, "message": message }]);
    json!({ "success": false, "errors": errors, "messages": [], "result": null })
}

/// The relay. It lives as long as this value.
pub struct Relay {
    pub address: String,
    token: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Relay {
    /// A relay that answers itself, like a gateway that cannot reach certgate.
    pub fn alone(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let token = "sesame-0123456789".to_owned();
        Self::start(nowhere, token, move |seen| Fate::Instead(answer(seen)))
    }

    fn start(
        certgate: SocketAddr,
        token: String,
        fate: impl Fn(&Seen) -> Fate + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let (log, fate) = (seen.clone(), Arc::new(fate));
        // The threads end with the test's process, a connection with its client.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, fate) = (log.clone(), fate.clone());
                std::thread::spawn(move || relay(stream, certgate, &log, &*fate));
            }
        });
        Self {
            address,
            token,
            seen,
        }
    }

    /// The requests since the last call.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    pub fn api(&self) -> Api {
        self.api_with(&self.token)
    }

    /// A connection with another token.
    pub fn api_with(&self, token: &str) -> Api {
        let token = Token::new(token).unwrap();
        Api::new(&self.address, Trusted::System, token, "the test".to_owned())
            .unwrap()
            .pausing(|_: Duration| {})
    }

    pub fn session(&self) -> Session {
        Session::over(self.api())
    }
}

fn relay(
    stream: TcpStream,
    certgate: SocketAddr,
    log: &Mutex<Vec<Seen>>,
    fate: &(dyn Fn(&Seen) -> Fate + Send + Sync),
) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    while let Some(seen) = read_request(&mut reader) {
        log.lock().unwrap().push(seen.clone());
        let (status, extra, body) = match fate(&seen) {
            Fate::Pass => {
                let _ = writer.write_all(&forward(certgate, &seen));
                return;
            }
            Fate::LoseAnswer => {
                forward(certgate, &seen);
                return;
            }
            Fate::Instead(Reply::Hang) => return,
            Fate::Instead(Reply::Json(status, body)) => (status, String::new(), body.to_string()),
            Fate::Instead(Reply::With(status, extra, body)) => {
                (status, format!("{extra}\r\n"), body.to_string())
            }
            Fate::Instead(Reply::Raw(status, body)) => (status, String::new(), body.to_owned()),
        };
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{extra}\
             content-length: {length}\r\n\r\n"
        );
        if writer
            .write_all(format!("{head}{body}").as_bytes())
            .is_err()
        {
            return;
        }
    }
}

/// Sends a request to certgate and returns the whole answer, after which the connection ends.
fn forward(certgate: SocketAddr, seen: &Seen) -> Vec<u8> {
    let mut stream = TcpStream::connect(certgate).unwrap();
    let request = format!("{}connection: close\r\n\r\n{}", seen.head, seen.body);
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<Seen> {
    let mut head = String::new();
    reader.read_line(&mut head).ok().filter(|read| *read > 0)?;
    let mut words = head.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let (mut length, mut authorization) = (0, String::new());
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        match name.to_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "authorization" => authorization = value.trim().to_owned(),
            _ => {}
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Seen {
        method,
        path: path.to_owned(),
        query: query.to_owned(),
        authorization,
        body: String::from_utf8(body).ok()?,
        head,
    })
}

/// A few matches are more than pages reach.
const SEARCH_LIMITS: SearchLimits = SearchLimits {
    matches: 20,
    ..SearchLimits::DEFAULT
};

/// A real certgate behind a relay.
pub struct Server {
    pub certgate: Arc<Loopback>,
    pub relay: Relay,
}

impl Server {
    /// A certgate whose answers all arrive.
    pub fn start() -> Self {
        Self::faulty(|_, _| Fate::Pass)
    }

    /// A certgate behind a relay that treats requests in these ways.
    pub fn faulty(fate: impl Fn(&Seen, &Loopback) -> Fate + Send + Sync + 'static) -> Self {
        let certgate = TestApp::with_search_limits(SEARCH_LIMITS);
        let certgate = Arc::new(Loopback::serving(certgate));
        let relay = Relay::start(certgate.address(), certgate.app.token.clone(), {
            let certgate = certgate.clone();
            move |seen| fate(seen, &certgate)
        });
        Self { certgate, relay }
    }

    pub fn session(&self) -> Session {
        self.relay.session()
    }

    /// The requests since the last call.
    pub fn seen(&self) -> Vec<Seen> {
        self.relay.seen()
    }

    pub fn zone(&self) -> ZoneId {
        self.certgate.app.zone_id.parse().unwrap()
    }

    pub fn account(&self) -> &str {
        &self.certgate.app.account_id
    }

    /// `result` of a GET with the path of [`TestApp::call`](certgate_testkit::TestApp::call).
    pub fn get(&self, path: &str) -> Value {
        self.certgate.wait(self.certgate.app.get(path)).result()
    }

    /// `result` of a POST.
    pub fn post(&self, path: &str, body: Value) -> Value {
        self.certgate
            .wait(self.certgate.app.post(path, body))
            .result()
    }

    /// `result` of a PUT.
    pub fn put(&self, path: &str, body: Value) -> Value {
        self.certgate
            .wait(self.certgate.app.put(path, body))
            .result()
    }

    /// The ID of a new certificate.
    pub fn issue(&self, common_name: &str) -> String {
        text(&self.certgate.issue(common_name)["id"])
    }

    /// Renews a certificate. Returns the ID of the newer one.
    pub fn renew(&self, id: &str) -> String {
        let old = self.get(&format!("/zones/{{zone}}/client_certificates/{id}"));
        let app = &self.certgate.app;
        let renewed = app.renew(&app.zone_id, "example.com", &old);
        text(&self.certgate.wait(renewed)["id"])
    }

    /// The certificates of the first zone, oldest first.
    pub fn issued(&self) -> Vec<Value> {
        let listed = self.get("/zones/{zone}/client_certificates?status=all&limit=1000");
        listed.as_array().unwrap().iter().rev().cloned().collect()
    }
}

/// A JSON string.
pub fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// The names of the files in a directory, sorted.
pub fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Reads as one PEM block that is not a certificate.
pub const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----";
