//! An HTTP server of a few lines, which answers as a test says.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

pub(crate) struct Server {
    pub(crate) url: String,
    requests: Arc<Mutex<Vec<Request>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The head of a request, in small letters.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// How many came before.
    pub(crate) number: usize,
    head: String,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The first byte asked for.
    pub(crate) fn from(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }

    pub(crate) fn path(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }
}

/// What is answered.
pub(crate) struct Reply {
    /// 0 for no answer at all.
    pub(crate) status: u16,
    pub(crate) headers: Vec<String>,
    pub(crate) body: Vec<u8>,
    /// The connection ends after so many bytes of the body.
    pub(crate) cut: Option<usize>,
}

impl Reply {
    /// An answer with its length.
    pub(crate) fn new(status: u16, body: &[u8]) -> Self {
        Self { headers: vec![format!("Content-Length: {}", body.len())], ..Self::endless(status, body) }
    }

    /// An answer that ends where the connection does.
    pub(crate) fn endless(status: u16, body: &[u8]) -> Self {
        Self { status, headers: Vec::new(), body: body.to_vec(), cut: None }
    }

    pub(crate) fn with(mut self, header: &str) -> Self {
        self.headers.push(header.to_owned());
        self
    }

    pub(crate) fn cut(self, after: usize) -> Self {
        Self { cut: Some(after), ..self }
    }

    /// What a good server answers: all of the file or the rest that is asked for.
    pub(crate) fn file(request: &Request, content: &[u8]) -> Self {
        match request.from() {
            Some(from) if from < content.len() => Self::new(206, &content[from..]).with(&format!(
                "Content-Range: bytes {from}-{}/{}",
                content.len() - 1,
                content.len()
            )),
            Some(_) => Self::new(416, b"").with(&format!("Content-Range: bytes */{}", content.len())),
            None => Self::new(200, content),
        }
        .with("ETag: \"version-1\"")
    }
}

impl Server {
    pub(crate) fn start(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let answer = Arc::new(answer);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/data.bin", listener.local_addr().unwrap());
        let (requests, over) = (Arc::<Mutex<Vec<Request>>>::default(), Arc::<AtomicBool>::default());
        let (seen, ends) = (requests.clone(), over.clone());
        let thread = thread::spawn(move || {
            for connection in listener.incoming() {
                if ends.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(mut connection) = connection else { continue };
                let number = seen.lock().unwrap().len();
                let Some(request) = read(&connection, number) else { continue };
                seen.lock().unwrap().push(request.clone());
                let answer = answer.clone();
                // A client that has seen enough hangs up.
                thread::spawn(move || write(&mut connection, &answer(&request)));
            }
        });
        Self { url, requests, over, thread: Some(thread) }
    }

    /// A server with one answer.
    pub(crate) fn always(reply: impl Fn() -> Reply + Send + Sync + 'static) -> Self {
        Self::start(move |_| reply())
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        let address = self.url.trim_start_matches("http://").trim_end_matches("/data.bin");
        if TcpStream::connect(address).is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

fn read(connection: &TcpStream, number: usize) -> Option<Request> {
    let mut head = String::new();
    let mut reader = BufReader::new(connection);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim_end().is_empty() {
            return Some(Request { number, head });
        }
        head.push_str(&line.to_lowercase());
    }
}

fn write(connection: &mut TcpStream, reply: &Reply) -> std::io::Result<()> {
    if reply.status == 0 {
        return Ok(());
    }
    let mut head = format!("HTTP/1.1 {} Answer\r\nConnection: close\r\n", reply.status);
    reply.headers.iter().for_each(|header| head.push_str(&format!("{header}\r\n")));
    connection.write_all(format!("{head}\r\n").as_bytes())?;
    connection.write_all(&reply.body[..reply.cut.unwrap_or(reply.body.len())])
}
