//! A receiver of alerts that answers as it is told, and keeps what it was sent.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One answer.
#[derive(Clone)]
pub(crate) enum Say {
    /// A status, and more header lines, each with its line end.
    Status(u16, String),
    /// 500 for what holds these words, and 200 for all else.
    Refusing(&'static str),
    /// Nothing, for so long.
    Silence(Duration),
    /// The connection is closed at once.
    HangUp,
}

impl Say {
    pub(crate) fn status(status: u16) -> Self {
        Say::Status(status, String::new())
    }
}

/// What was sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

/// Answers what it is told, in order, and the last of it for ever.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    sent: Arc<Mutex<Vec<Sent>>>,
    script: Arc<Mutex<Vec<Say>>>,
}

impl Receiver {
    pub(crate) fn start(script: Vec<Say>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sent, script) = (Arc::<Mutex<Vec<Sent>>>::default(), Arc::new(Mutex::new(script)));
        let (keep, plan) = (Arc::clone(&sent), Arc::clone(&script));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (keep, plan) = (Arc::clone(&keep), Arc::clone(&plan));
                std::thread::spawn(move || serve(stream.unwrap(), &keep, &plan));
            }
        });
        Self { address, sent, script }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook/PATHSECRET?token=QUERYSECRET", self.address)
    }

    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }

    pub(crate) fn now_say(&self, script: Vec<Say>) {
        *self.script.lock().unwrap() = script;
    }
}

fn serve(mut stream: TcpStream, keep: &Mutex<Vec<Sent>>, plan: &Mutex<Vec<Say>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        assert!(headers.insert(name.to_ascii_lowercase(), value.to_owned()).is_none(), "{name} comes once");
    }
    let mut body = vec![0; headers.get("content-length").map_or(0, |n| n.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    let body = String::from_utf8(body).unwrap();
    keep.lock().unwrap().push(Sent { path, headers, body: body.clone() });
    let say = {
        let mut plan = plan.lock().unwrap();
        if plan.len() > 1 { plan.remove(0) } else { plan[0].clone() }
    };
    let say = match say {
        Say::Refusing(words) => Say::status(if body.contains(words) { 500 } else { 200 }),
        other => other,
    };
    match say {
        Say::Status(status, more) => {
            let answer = format!("HTTP/1.1 {status} X\r\n{more}content-length: 10\r\n\r\nBODYSECRET");
            let _ = stream.write_all(answer.as_bytes());
        }
        Say::Silence(time) => std::thread::sleep(time),
        Say::HangUp | Say::Refusing(_) => {}
    }
}
