//! TLS between dfab and an engine: a connector that wraps another one, so that it works over TCP and
//! through a tunnel alike (clients-tasks §1.2; `dockerd --tlsverify`).
//!
//! OpenSSL does the work. It is in the program already, for SSH, and reads every form of key and
//! certificate that users of the `docker` program have. Encryption without a check of the certificate
//! has to be asked for: [`Check::Nothing`].

mod error;

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use async_trait::async_trait;
use openssl::pkey::PKey;
use openssl::ssl::{ConnectConfiguration, ErrorCode, SslConnector, SslMethod, SslVerifyMode};
use openssl::x509::X509;
use openssl::x509::store::X509StoreBuilder;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_openssl::SslStream;

pub use self::error::{Error, Unusable};
use self::error::{Seen, refused_certificate};
use crate::connector::{Connector, Stream};
use crate::error::Source;

/// A file in PEM form, and how messages call it. Its `Debug` form hides what is in it.
#[derive(Clone, PartialEq, Eq)]
pub struct Pem {
    /// Its path as the user wrote it.
    pub file: String,
    /// Its contents.
    pub data: Vec<u8>,
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pem").field("file", &self.file).finish_non_exhaustive()
    }
}

/// What of the engine's certificate is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// An authority that is trusted has signed it, it is valid today, and it is for this name or address.
    Name(String),
    /// As [`Check::Name`], for any name.
    AnyName,
    /// Nothing: whoever is on the way can read and change everything.
    Nothing,
}

/// How an engine is spoken to over TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsOptions {
    /// Name or address of the engine, for Server Name Indication.
    pub server: String,
    /// What is checked.
    pub check: Check,
    /// The authorities that are trusted; several certificates may stand in the file.
    pub authorities: Option<Pem>,
    /// Our own certificate, with its chain, and its key.
    pub client: Option<(Pem, Pem)>,
}

impl TlsOptions {
    /// Returns the names of all files.
    pub fn files(&self) -> Vec<&str> {
        let own = self.client.iter().flat_map(|(certificate, key)| [certificate, key]);
        self.authorities.iter().chain(own).map(|pem| pem.file.as_str()).collect()
    }
}

/// Opens encrypted connections over those of another connector.
pub struct TlsConnector {
    inner: Arc<dyn Connector>,
    options: TlsOptions,
    connector: SslConnector,
}

impl TlsConnector {
    /// Wraps a connector. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// [`Unusable`] for files that hold no certificate or key, and a key of another certificate.
    pub fn new(inner: Arc<dyn Connector>, options: TlsOptions) -> Result<Self, Unusable> {
        let connector = connector(&options)?;
        Ok(Self { inner, options, connector })
    }

    fn configuration(&self, seen: &Arc<Mutex<Option<Seen>>>) -> Result<ConnectConfiguration, Error> {
        let internal = |error: openssl::error::ErrorStack| Error::Protocol {
            host: self.inner.host().to_owned(),
            message: error.to_string(),
        };
        let mut configuration = self.connector.configure().map_err(internal)?;
        configuration.set_verify_hostname(matches!(self.options.check, Check::Name(_)));
        if self.options.check != Check::Nothing {
            let seen = Arc::clone(seen);
            configuration.set_verify_callback(SslVerifyMode::PEER, move |is_good, certificates| {
                if !is_good {
                    let mut seen = seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    seen.get_or_insert_with(|| Seen::new(certificates));
                }
                is_good
            });
        }
        Ok(configuration)
    }
}

fn connector(options: &TlsOptions) -> Result<SslConnector, Unusable> {
    let unusable = |error: openssl::error::ErrorStack| Unusable::Library(error.to_string());
    let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(unusable)?;
    if options.check == Check::Nothing {
        builder.set_verify(SslVerifyMode::NONE);
    } else if let Some(pem) = &options.authorities {
        let mut store = X509StoreBuilder::new().map_err(unusable)?;
        for certificate in certificates(pem)? {
            store.add_cert(certificate).map_err(unusable)?;
        }
        builder.set_cert_store(store.build());
    } else {
        return Err(Unusable::NoAuthorities);
    }
    if let Some((certificate, key)) = &options.client {
        let mut chain = certificates(certificate)?.into_iter();
        if let Some(first) = chain.next() {
            builder.set_certificate(&first).map_err(unusable)?;
        }
        for further in chain {
            builder.add_extra_chain_cert(further).map_err(unusable)?;
        }
        // Without an answer to its question for a passphrase, a locked key is refused instead of asked for
        // on a terminal that is not ours.
        let private = PKey::private_key_from_pem_callback(&key.data, |_| Ok(0))
            .map_err(|_| Unusable::Key { file: key.file.clone(), locked: is_locked(&key.data) })?;
        builder.set_private_key(&private).map_err(|_| Unusable::OtherKey {
            certificate: certificate.file.clone(),
            key: key.file.clone(),
        })?;
        builder.check_private_key().map_err(|_| Unusable::OtherKey {
            certificate: certificate.file.clone(),
            key: key.file.clone(),
        })?;
    }
    Ok(builder.build())
}

fn certificates(pem: &Pem) -> Result<Vec<X509>, Unusable> {
    let found = X509::stack_from_pem(&pem.data).unwrap_or_default();
    if found.is_empty() { Err(Unusable::Certificate { file: pem.file.clone() }) } else { Ok(found) }
}

fn is_locked(key: &[u8]) -> bool {
    let text = String::from_utf8_lossy(key);
    text.contains("ENCRYPTED")
}

#[async_trait]
impl Connector for TlsConnector {
    fn host(&self) -> &str {
        self.inner.host()
    }

    fn most(&self) -> Option<usize> {
        self.inner.most()
    }

    async fn connect(&self) -> Result<Box<dyn Stream>, Source> {
        let stream = self.inner.connect().await?;
        let seen = Arc::new(Mutex::new(None));
        // The name that is checked is the one that the library is given.
        let name = match &self.options.check {
            Check::Name(name) => name,
            Check::AnyName | Check::Nothing => &self.options.server,
        };
        let ssl = self.configuration(&seen)?.into_ssl(name);
        let host = self.inner.host();
        let protocol = |message: String| Error::Protocol { host: host.to_owned(), message };
        let ssl = ssl.map_err(|error| protocol(error.to_string()))?;
        let mut stream = SslStream::new(ssl, stream).map_err(|error| protocol(error.to_string()))?;
        if let Err(error) = Pin::new(&mut stream).connect().await {
            let seen = seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            let file = self.options.authorities.as_ref().map(|pem| pem.file.as_str());
            return Err(Box::new(match seen {
                Some(seen) => refused_certificate(host, name, file, seen),
                None => self.handshake_failed(&error),
            }));
        }
        Ok(Box::new(Encrypted {
            stream,
            written: false,
            answered: false,
            refusal: None,
            reader: None,
            host: host.to_owned(),
            client: self.options.client.as_ref().map(|(certificate, _)| certificate.file.clone()),
        }))
    }
}

impl TlsConnector {
    fn handshake_failed(&self, error: &openssl::ssl::Error) -> Error {
        let host = self.inner.host();
        if let Some(alert) = error::alert(error) {
            let client = self.options.client.as_ref().map(|(certificate, _)| certificate.file.clone());
            return Error::ClientRefused { host: host.to_owned(), client, said: Some(alert) };
        }
        Error::handshake(host, error)
    }
}

/// An encrypted connection.
///
/// In TLS 1.3 an engine refuses our certificate, or that there is none, only when we think that all is
/// well: by an alert, or by hanging up, before its first answer. That may be before the first request is
/// written, when nobody would be told; so a refusal is kept until there is one.
struct Encrypted {
    stream: SslStream<Box<dyn Stream>>,
    written: bool,
    answered: bool,
    refusal: Option<Error>,
    reader: Option<Waker>,
    host: String,
    client: Option<String>,
}

impl Encrypted {
    fn refused(&self, said: Option<String>) -> Error {
        Error::ClientRefused { host: self.host.clone(), client: self.client.clone(), said }
    }

    /// Makes a refusal of an error before the first answer, where it is one.
    fn explained(&self, error: io::Error) -> Result<Error, io::Error> {
        if self.answered {
            return Err(error);
        }
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<openssl::ssl::Error>());
        if let Some(alert) = inner.and_then(error::alert) {
            return Ok(self.refused(Some(alert)));
        }
        // The alert is lost where the engine closes while our request is on its way.
        let lost = [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe, io::ErrorKind::UnexpectedEof];
        if lost.contains(&error.kind()) || inner.is_some_and(|inner| inner.code() == ErrorCode::SYSCALL) {
            return Ok(self.refused(None));
        }
        Err(error)
    }

    fn tell(&mut self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        match &self.refusal {
            Some(refusal) if self.written => Poll::Ready(Err(io::Error::other(refusal.clone()))),
            _ => {
                self.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn after_write<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        result.map_err(|error| match self.explained(error) {
            Ok(refusal) => io::Error::other(refusal),
            Err(error) => error,
        })
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.refusal.is_some() {
            return self.tell(cx);
        }
        let before = buffer.filled().len();
        let refusal = match Pin::new(&mut self.stream).poll_read(cx, buffer) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => match self.explained(error) {
                Ok(refusal) => refusal,
                Err(error) => return Poll::Ready(Err(error)),
            },
            Poll::Ready(Ok(())) if buffer.filled().len() > before => {
                self.answered = true;
                return Poll::Ready(Ok(()));
            }
            Poll::Ready(Ok(())) if self.answered || buffer.remaining() == 0 => return Poll::Ready(Ok(())),
            Poll::Ready(Ok(())) => self.refused(None),
        };
        self.refusal = Some(refusal);
        self.tell(cx)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.written = true;
        if self.refusal.is_some() {
            // Whoever waits for an answer is told, see above.
            if let Some(reader) = self.reader.take() {
                reader.wake();
            }
            return Poll::Ready(Ok(bytes.len()));
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        written.map(|result| self.after_write(result))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.refusal.is_some() {
            return Poll::Ready(Ok(()));
        }
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        flushed.map(|result| self.after_write(result))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
