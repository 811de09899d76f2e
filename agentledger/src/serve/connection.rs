//! Connections, bounded in number and in how long one may take to say what it wants.
//!
//! A peer that sends a byte now and then would hold its place for ever: the deadline is for the whole
//! request, and stands still only while a handler works.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};

/// How long a request may take to arrive, an idle connection is kept, and an answer may wait to be taken.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// Connections that are being told to come back later; beyond, they are closed without a word.
const MAX_REFUSING: usize = 64;
const REFUSING: Duration = Duration::from_secs(1);
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/problem+json\r\n\
retry-after: 1\r\nconnection: close\r\ncontent-length: 208\r\n\r\n\
{\"type\":\"urn:agentledger:error:too_many_connections\",\"title\":\"too many connections\",\"status\":503,\
\"detail\":\"too many connections; try again\",\"code\":\"too_many_connections\",\"help\":\"/errors/too_many_connections\"}";

/// Accepts connections while there is room.
pub(super) struct Gate {
    listener: TcpListener,
    room: Arc<Semaphore>,
    refusing: Arc<Semaphore>,
}

impl Gate {
    pub(super) fn new(listener: TcpListener, connections: usize) -> Self {
        let refusing = Arc::new(Semaphore::new(MAX_REFUSING));
        Self { listener, room: Arc::new(Semaphore::new(connections)), refusing }
    }
}

impl Listener for Gate {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            // The trait's own implementation waits out a lack of file descriptors.
            let (stream, address) = Listener::accept(&mut self.listener).await;
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "a connection keeps Nagle's delay");
            }
            match Arc::clone(&self.room).try_acquire_owned() {
                Ok(place) => return (Connection::new(stream, place), address),
                Err(_) => {
                    if let Ok(place) = Arc::clone(&self.refusing).try_acquire_owned() {
                        tokio::spawn(async move {
                            let _ = tokio::time::timeout(REFUSING, refuse(&stream)).await;
                            drop(place);
                        });
                    }
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Answers, and reads what was sent: closing with unread data would take the answer back.
async fn refuse(stream: &TcpStream) -> io::Result<()> {
    let mut left = REFUSAL;
    while !left.is_empty() {
        stream.writable().await?;
        match stream.try_write(left) {
            Ok(n) => left = left.get(n..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    let mut scrap = [0; 4096];
    loop {
        stream.readable().await?;
        match stream.try_read(&mut scrap) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Whether a handler works for a connection, and how many requests have been answered on it.
#[derive(Clone, Debug, Default)]
pub(super) struct Activity(Arc<State>);

#[derive(Debug, Default)]
struct State {
    working: AtomicBool,
    answered: AtomicU64,
}

impl Activity {
    /// The request has arrived; until the guard is dropped, nobody waits for the peer.
    pub(super) fn begin(&self) -> Working {
        self.0.working.store(true, Ordering::Relaxed);
        Working(self.clone())
    }
}

/// A handler at work.
pub(super) struct Working(Activity);

impl Drop for Working {
    fn drop(&mut self) {
        let state = &self.0.0;
        state.answered.fetch_add(1, Ordering::Relaxed);
        state.working.store(false, Ordering::Relaxed);
    }
}

/// A connection that gives up on a peer that keeps it waiting.
pub(super) struct Connection {
    stream: TcpStream,
    activity: Activity,
    /// Requests answered when the deadline was last moved.
    answered: u64,
    /// Whether nothing of the next request has come.
    idle: bool,
    reading: Pin<Box<Sleep>>,
    writing: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn new(stream: TcpStream, place: OwnedSemaphorePermit) -> Self {
        let reading = Box::pin(tokio::time::sleep(PATIENCE));
        let activity = Activity::default();
        Self { stream, activity, answered: 0, idle: true, reading, writing: None, _place: place }
    }

    /// For the service that answers on it.
    pub(super) fn activity(&self) -> Activity {
        self.activity.clone()
    }

    fn out_of_patience(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let state = &self.activity.0;
            let answered = state.answered.load(Ordering::Relaxed);
            if answered != self.answered {
                self.answered = answered;
                self.idle = true;
                self.reading.as_mut().reset(Instant::now() + PATIENCE);
            }
            ready!(self.reading.as_mut().poll(context));
            if !state.working.load(Ordering::Relaxed) && answered == state.answered.load(Ordering::Relaxed) {
                return Poll::Ready(());
            }
            self.reading.as_mut().reset(Instant::now() + PATIENCE);
        }
    }

    /// Bounds how long a write may wait.
    fn written<T>(&mut self, context: &mut Context<'_>, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if done.is_ready() {
            self.writing = None;
            return done;
        }
        let sleep = self.writing.get_or_insert_with(|| Box::pin(tokio::time::sleep(PATIENCE)));
        ready!(sleep.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not take its answer")))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.out_of_patience(context).is_ready() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the request took too long")));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        if self.idle && buffer.filled().len() > before {
            // The time for a request begins with its first byte, however long the connection was idle.
            self.idle = false;
            self.reading.as_mut().reset(Instant::now() + PATIENCE);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.written(context, done)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
