//! A session with a `PostgreSQL` server, and what goes to it in one round trip.

use super::encryption::{Encryption, may_go_the_other_way};
use std::{
    future::poll_fn,
    pin::pin,
    task::{Context, Poll},
};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{
    AsyncMessage, Client, Config, Connection, Error, NoTls, SimpleQueryMessage, Socket,
    config::{Host, SslMode},
    tls::{MakeTlsConnect, NoTlsStream},
};
use tokio_postgres_rustls::MakeRustlsConnect;

/// What brings messages to a server and back.
enum Line {
    /// Over a socket of this machine.
    Local(Box<Connection<Socket, NoTlsStream>>),
    /// Over a network, encrypted or not.
    Network(Box<Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>>),
}

impl Line {
    fn poll_message(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<AsyncMessage, Error>>> {
        match self {
            Self::Local(connection) => connection.poll_message(context),
            Self::Network(connection) => connection.poll_message(context),
        }
    }
}

/// A session; this thread alone speaks in it, and waits for the answers.
pub(super) struct Session {
    runtime: Runtime,
    /// None only while the session is ended.
    client: Option<Client>,
    line: Line,
}

/// What a statement gave that went together with what had to be said before it.
pub(super) struct Answers<T> {
    pub(super) before: Result<Vec<SimpleQueryMessage>, Error>,
    pub(super) answer: Result<T, Error>,
}

/// Waits for all of some questions, which go to the server in one round trip; the first failure fails all.
pub(super) async fn all<T>(asked: Vec<impl Future<Output = Result<T, Error>>>) -> Result<Vec<T>, Error> {
    let mut asked: Vec<_> = asked.into_iter().map(Box::pin).collect();
    let mut answers: Vec<Option<T>> = asked.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (asked, answer) in asked.iter_mut().zip(&mut answers) {
            if answer.is_none()
                && let Poll::Ready(ready) = asked.as_mut().poll(context)
            {
                match ready {
                    Ok(ready) => *answer = Some(ready),
                    Err(error) => return Poll::Ready(Err(error)),
                }
            }
        }
        if answers.iter().any(Option::is_none) { Poll::Pending } else { Poll::Ready(Ok(())) }
    })
    .await?;
    Ok(answers.into_iter().flatten().collect())
}

impl Session {
    /// Begins a session, encrypted as is asked for; a socket of this machine needs no encryption.
    pub(super) fn connect(config: &Config, encryption: &Encryption) -> std::io::Result<Result<Self, Error>> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let begun = runtime.block_on(async {
            if config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_))) {
                let plain = config.clone().ssl_mode(SslMode::Disable).connect(NoTls).await?;
                return Ok((plain.0, Line::Local(Box::new(plain.1))));
            }
            let (mut tried, mut last) = (config.clone(), None);
            for mode in encryption.attempts() {
                match tried.ssl_mode(*mode).connect(encryption.connector()).await {
                    Ok((client, connection)) => return Ok((client, Line::Network(Box::new(connection)))),
                    Err(error) if last.is_none() && may_go_the_other_way(&error) => last = Some(error),
                    // What the first attempt met with is what the user should know.
                    Err(error) => return Err(last.unwrap_or(error)),
                }
            }
            match last {
                Some(error) => Err(error),
                None => unreachable!("something is tried"),
            }
        });
        Ok(begun.map(|(client, line)| Self { runtime, client: Some(client), line }))
    }

    /// Whether the server or the network ended it.
    pub(super) fn is_closed(&self) -> bool {
        self.client.as_ref().is_none_or(Client::is_closed)
    }

    /// Asks something and waits for the answer.
    pub(super) fn ask<T>(&mut self, ask: impl AsyncFnOnce(&Client) -> Result<T, Error>) -> Result<T, Error> {
        let Self { runtime, client, line } = self;
        let Some(client) = client else { unreachable!("the session goes on until it is dropped") };
        let mut asked = pin!(ask(client));
        runtime.block_on(poll_fn(|context| {
            while let Poll::Ready(Some(message)) = line.poll_message(context) {
                message?; // notices are nobody's business
            }
            asked.as_mut().poll(context)
        }))
    }

    /// Says something without parameters and asks something, in one round trip. That both failed may mean only that the
    /// first did; the server goes on with the second in any case.
    pub(super) fn ask_after<T>(
        &mut self,
        before: &str,
        ask: impl AsyncFnOnce(&Client) -> Result<T, Error>,
    ) -> Result<Answers<T>, Error> {
        self.ask(async |client| {
            let (mut said, mut asked) = (pin!(client.simple_query(before)), pin!(ask(client)));
            let (mut first, mut second) = (None, None);
            poll_fn(|context| {
                if first.is_none()
                    && let Poll::Ready(answer) = said.as_mut().poll(context)
                {
                    first = Some(answer);
                }
                if second.is_none()
                    && let Poll::Ready(answer) = asked.as_mut().poll(context)
                {
                    second = Some(answer);
                }
                match (first.take(), second.take()) {
                    (Some(before), Some(answer)) => Poll::Ready(Ok(Answers { before, answer })),
                    waiting => {
                        (first, second) = waiting;
                        Poll::Pending
                    }
                }
            })
            .await
        })
    }

    /// Says something without parameters whose answer nobody waits for.
    pub(super) fn say(&mut self, text: &str) {
        let Self { runtime, client, line } = self;
        let Some(client) = client else { return };
        let mut said = pin!(client.simple_query(text));
        runtime.block_on(poll_fn(|context| {
            // What fails here fails again when the session is used next.
            let _ = said.as_mut().poll(context);
            while let Poll::Ready(Some(Ok(_))) = line.poll_message(context) {}
            Poll::Ready(())
        }));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Without a client the connection says goodbye.
        self.client = None;
        match &mut self.line {
            Line::Local(connection) => self.runtime.block_on(connection).ok(),
            Line::Network(connection) => self.runtime.block_on(connection).ok(),
        };
    }
}
