//! A session with a `PostgreSQL` server, and what goes to it in one round trip.

use std::{future::poll_fn, pin::pin, task::Poll};
use tokio::runtime::{Builder, Runtime};
use tokio_postgres::{Client, Config, Connection, Error, NoTls, SimpleQueryMessage, Socket, tls::NoTlsStream};

/// A session; this thread alone speaks in it, and waits for the answers.
pub(super) struct Session {
    runtime: Runtime,
    /// None only while the session is ended.
    client: Option<Client>,
    connection: Connection<Socket, NoTlsStream>,
}

/// What a statement gave that went together with what had to be said before it.
pub(super) struct Answers<T> {
    pub(super) before: Result<Vec<SimpleQueryMessage>, Error>,
    pub(super) answer: Result<T, Error>,
}

impl Session {
    /// Begins a session.
    pub(super) fn connect(config: &Config) -> std::io::Result<Result<Self, Error>> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(runtime.block_on(config.connect(NoTls)).map(|(client, connection)| Self {
            runtime,
            client: Some(client),
            connection,
        }))
    }

    /// Whether the server or the network ended it.
    pub(super) fn is_closed(&self) -> bool {
        self.client.as_ref().is_none_or(Client::is_closed)
    }

    /// Asks something and waits for the answer.
    pub(super) fn ask<T>(&mut self, ask: impl AsyncFnOnce(&Client) -> Result<T, Error>) -> Result<T, Error> {
        let Self { runtime, client, connection } = self;
        let Some(client) = client else { unreachable!("the session goes on until it is dropped") };
        let mut asked = pin!(ask(client));
        runtime.block_on(poll_fn(|context| {
            while let Poll::Ready(Some(message)) = connection.poll_message(context) {
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
        let Self { runtime, client, connection } = self;
        let Some(client) = client else { return };
        let mut said = pin!(client.simple_query(text));
        runtime.block_on(poll_fn(|context| {
            // What fails here fails again when the session is used next.
            let _ = said.as_mut().poll(context);
            while let Poll::Ready(Some(Ok(_))) = connection.poll_message(context) {}
            Poll::Ready(())
        }));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Without a client the connection says goodbye.
        self.client = None;
        self.runtime.block_on(&mut self.connection).ok();
    }
}
