//! Running scripts on one host: one exec channel each, at most so many at a time.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dfab_client::error::Source;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::Semaphore;

use crate::command::Command;
use crate::echo;
use crate::failure::{Shared, Unusable};
use crate::frame::{self, Broken, Finished};
use crate::options::CliOptions;
use crate::script;
use crate::shell::{Exit, Running, Shell};

/// Bytes of a standard error that are kept for a message.
const ERROR_LIMIT: usize = 64 << 10;

/// Bytes of a stream that are sent at once.
const BLOCK: usize = 64 << 10;

/// The command line that reads a script from standard input. It means the same to every login shell.
const READ_SCRIPT: &str = "exec sh";

/// One host and how the program is called there.
pub(crate) struct Host {
    shell: Arc<dyn Shell>,
    pub(crate) options: CliOptions,
    channels: Semaphore,
    /// How many of them may be held by streams without an end; one is always left for the others.
    following: Semaphore,
    opened: AtomicU64,
    commands: AtomicU64,
}

impl Host {
    pub(crate) fn new(shell: Arc<dyn Shell>, options: CliOptions) -> Self {
        let channels = Semaphore::new(options.channels.max(1));
        let following = Semaphore::new(Self::followed_at_once(&options));
        Self { shell, options, channels, following, opened: AtomicU64::new(0), commands: AtomicU64::new(0) }
    }

    pub(crate) fn name(&self) -> &str {
        self.shell.host()
    }

    /// Channels opened so far.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Commands sent so far.
    pub(crate) fn commands(&self) -> u64 {
        self.commands.load(Ordering::Relaxed)
    }

    fn followed_at_once(options: &CliOptions) -> usize {
        options.channels.saturating_sub(1).max(1)
    }

    /// Takes one of the places of streams without an end, and waits for a free channel.
    ///
    /// # Errors
    ///
    /// The number of places, when all are taken.
    pub(crate) async fn place(&self) -> Result<[tokio::sync::SemaphorePermit<'_>; 2], usize> {
        let place = self.following.try_acquire().map_err(|_| Self::followed_at_once(&self.options))?;
        Ok([place, self.channel().await])
    }

    /// Waits for one of the places of streams without an end, for what holds its channel as long.
    pub(crate) async fn free_place(&self) -> tokio::sync::SemaphorePermit<'_> {
        self.following.acquire().await.expect("the semaphore is never closed")
    }

    /// Waits for a free channel; it is free again when the permit is dropped.
    pub(crate) async fn channel(&self) -> tokio::sync::SemaphorePermit<'_> {
        self.channels.acquire().await.expect("the semaphore is never closed")
    }

    /// Runs commands in one channel and hands out each result as it comes.
    ///
    /// # Errors
    ///
    /// When no shell answers, its answer ends early, or short commands take longer than they may; commands without a
    /// result by then may or may not have run.
    pub(crate) async fn batch(
        &self,
        commands: &[&Command],
        mut each: impl FnMut(usize, Finished) + Send,
    ) -> Result<(), Unusable> {
        commands.iter().for_each(|command| self.sent(command));
        let token = token();
        let script = script::batch(commands, &self.options, &token);
        let Running { stdin, stdout, stderr, exit } = self.start(READ_SCRIPT).await?;
        let frames = async {
            let mut stdout = BufReader::new(stdout);
            frame::skip_greeting(&mut stdout, &token).await?;
            while let Some((index, finished)) = frame::next(&mut stdout).await? {
                let Some(command) = commands.get(index) else {
                    return Err(Broken::Header(format!("result {index} of {} commands", commands.len())));
                };
                echo::output(&self.options, command, finished.status, &finished.stdout, &finished.stderr);
                each(index, finished);
            }
            Ok(())
        };
        let answered = self.converse((stdin, stderr, exit), script.as_bytes(), frames);
        let Some(limit) = self.options.limit.filter(|_| !commands.iter().any(|command| command.is_long))
        else {
            return answered.await.map(drop);
        };
        // So many run at a time; the others wait for them.
        let rounds = commands.len().div_ceil(self.options.processes.max(1));
        let limit = limit.saturating_mul(u32::try_from(rounds).unwrap_or(u32::MAX));
        tokio::time::timeout(limit, answered)
            .await
            .map_or_else(|_| Err(self.late(commands, limit)), |end| end.map(drop))
    }

    fn late(&self, commands: &[&Command], limit: Duration) -> Unusable {
        let operations: Vec<&str> = commands.iter().map(|command| command.operation.as_str()).collect();
        let doing =
            format!("waiting for the `{}` program to {}", self.options.binary, operations.join(", to "));
        let host = self.name().to_owned();
        self.lost(Box::new(dfab_tunnel::Error::Timeout { host, doing, after: limit }))
    }

    /// Runs one command in a channel of its own and hands out its output line by line.
    ///
    /// # Errors
    ///
    /// As [`Host::batch`].
    pub(crate) async fn live(
        &self,
        command: &Command,
        each: impl FnMut(&str) + Send,
    ) -> Result<Finished, Unusable> {
        self.sent(command);
        let token = token();
        let script = script::live(command, &self.options, &token);
        let finished = self.script(&script, &token, each).await?;
        echo::output(&self.options, command, finished.status, &finished.stdout, &finished.stderr);
        Ok(finished)
    }

    /// Runs a script that prints `token` before everything else.
    pub(crate) async fn script(
        &self,
        script: &str,
        token: &str,
        mut each: impl FnMut(&str) + Send,
    ) -> Result<Finished, Unusable> {
        let _channel = self.channel().await;
        let Running { stdin, stdout, stderr, exit } = self.start(READ_SCRIPT).await?;
        let lines = async {
            let mut stdout = BufReader::new(stdout);
            frame::skip_greeting(&mut stdout, token).await?;
            let (mut output, mut line) = (Vec::new(), Vec::new());
            while stdout.read_until(b'\n', &mut line).await? > 0 {
                each(String::from_utf8_lossy(&line).trim_end());
                output.append(&mut line);
            }
            Ok(output)
        };
        let (exit, output, stderr) = self.converse((stdin, stderr, exit), script.as_bytes(), lines).await?;
        self.finished(exit, output, stderr)
    }

    /// Runs a script that prints `token` before everything else, with its output going to `sink`.
    pub(crate) async fn script_into(
        &self,
        script: &str,
        token: &str,
        sink: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<std::io::Result<Finished>, Unusable> {
        let _channel = self.channel().await;
        let Running { stdin, stdout, stderr, exit } = self.start(READ_SCRIPT).await?;
        let copy = async {
            let mut stdout = BufReader::with_capacity(BLOCK, stdout);
            frame::skip_greeting(&mut stdout, token).await?;
            // A sink that fails ends the script: nobody reads any more.
            Ok(tokio::io::copy_buf(&mut stdout, sink).await.map(drop))
        };
        let (exit, copied, stderr) = self.converse((stdin, stderr, exit), script.as_bytes(), copy).await?;
        let finished = self.finished(exit, Vec::new(), stderr)?;
        Ok(copied.map(|()| finished))
    }

    /// Runs one command with its output going to `sink`, and `source` to its standard input.
    pub(crate) async fn piped(
        &self,
        command: &Command,
        source: &mut (dyn AsyncRead + Send + Unpin),
        sink: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<Result<Finished, std::io::Error>, Unusable> {
        self.sent(command);
        let _channel = self.channel().await;
        let token = token();
        let Running { mut stdin, stdout, mut stderr, exit } =
            self.start(&script::piped(command, &self.options, &token)).await?;
        let mut stdout = BufReader::new(stdout);
        let before = script::before_input(command, &self.options);
        // The stream is moved in: a pipe ends only when it is dropped, and the command waits for that.
        let write = async move {
            if let Err(error) = stdin.write_all(before.reveal().as_bytes()).await {
                return Ok(Err(error));
            }
            let mut block = vec![0; BLOCK];
            loop {
                match source.read(&mut block).await {
                    // A command that got a part would take it for the whole: it is given up.
                    Err(error) => return Err(error),
                    Ok(0) => return Ok(stdin.shutdown().await),
                    Ok(length) => {
                        if let Err(error) = stdin.write_all(&block[..length]).await {
                            return Ok(Err(error));
                        }
                    }
                }
            }
        };
        let read = async {
            frame::skip_greeting(&mut stdout, &token).await?;
            // A sink that fails must not leave the command waiting for somebody to read.
            let copied = tokio::io::copy_buf(&mut stdout, sink).await;
            if copied.is_err() {
                tokio::io::copy_buf(&mut stdout, &mut tokio::io::sink()).await?;
            }
            Ok::<_, Broken>(copied)
        };
        let (read, errors) = (async { Ok(read.await) }, async { Ok(errors(&mut stderr).await) });
        let (written, read, stderr) = match tokio::try_join!(write, read, errors) {
            Ok(results) => results,
            Err(error) => return Ok(Err(error)),
        };
        let exit = exit.await.map_err(|source| self.lost(source))?;
        let copied = read.map_err(|broken| self.no_shell(broken, &exit, &stderr))?;
        let finished = self.finished(exit, Vec::new(), stderr)?;
        if finished.status == 0 {
            // A command that ended well may leave input unread; only then is a broken pipe no error.
            if let Err(error) = written.and(copied.map(drop)) {
                return Ok(Err(error));
            }
        }
        Ok(Ok(finished))
    }

    pub(crate) fn sent(&self, command: &Command) {
        self.commands.fetch_add(1, Ordering::Relaxed);
        echo::run(&self.options, command);
    }

    pub(crate) async fn start(&self, command: &str) -> Result<Running, Unusable> {
        self.opened.fetch_add(1, Ordering::Relaxed);
        self.shell.start(command).await.map_err(|source| self.lost(source))
    }

    /// Sends the input and reads both outputs at the same time, so that neither side waits for the
    /// other; returns how the shell ended, what `read` made of the standard output, and the standard
    /// error.
    async fn converse<T>(
        &self,
        (mut stdin, mut stderr, exit): (Stdin, Stderr, BoxFuture<'static, Result<Exit, Source>>),
        input: &[u8],
        read: impl Future<Output = Result<T, Broken>>,
    ) -> Result<(Exit, T, Vec<u8>), Unusable> {
        let write = async move {
            // A shell that is gone says so through its output and its end.
            let _ = stdin.write_all(input).await;
            let _ = stdin.shutdown().await;
        };
        let ((), read, stderr) = tokio::join!(write, read, errors(&mut stderr));
        let exit = exit.await.map_err(|source| self.lost(source))?;
        match read {
            Ok(output) => Ok((exit, output, stderr)),
            Err(broken) => Err(self.no_shell(broken, &exit, &stderr)),
        }
    }

    pub(crate) fn finished(
        &self,
        exit: Exit,
        stdout: Vec<u8>,
        stderr: Vec<u8>,
    ) -> Result<Finished, Unusable> {
        match exit {
            Exit::Status(status) => Ok(Finished { status, stdout, stderr }),
            Exit::Other(how) => {
                Err(Unusable::NoShell { host: self.name().to_owned(), message: how, source: None })
            }
        }
    }

    pub(crate) fn lost(&self, source: Source) -> Unusable {
        Unusable::NoHost { host: self.name().to_owned(), source: Shared::new(source) }
    }

    pub(crate) fn no_shell(&self, broken: Broken, exit: &Exit, stderr: &[u8]) -> Unusable {
        let host = self.name().to_owned();
        let stderr = String::from_utf8_lossy(stderr).trim().to_owned();
        let how = match exit {
            Exit::Status(script::NO_DIRECTORY) => "it cannot make a temporary folder".to_owned(),
            Exit::Status(status) => format!("it ended with status {status}"),
            Exit::Other(how) => format!("it {how}"),
        };
        let message = if stderr.is_empty() { how } else { format!("{how}: {stderr}") };
        Unusable::NoShell { host, message, source: Some(Shared::new(Box::new(broken))) }
    }
}

type Stdin = Box<dyn AsyncWrite + Send + Unpin>;
type Stderr = Box<dyn AsyncRead + Send + Unpin>;

/// Reads a standard error to its end and keeps its beginning.
async fn errors(stderr: &mut (dyn AsyncRead + Send + Unpin)) -> Vec<u8> {
    let mut kept = Vec::new();
    // What breaks a connection is reported by those who read the standard output.
    let _ = (&mut *stderr).take(ERROR_LIMIT as u64).read_to_end(&mut kept).await;
    let _ = tokio::io::copy(stderr, &mut tokio::io::sink()).await;
    kept
}

/// A line that no login script prints by chance, and nobody can guess.
pub(crate) fn token() -> String {
    let hasher = std::collections::hash_map::RandomState::new().build_hasher();
    format!("{}{:016x}", script::TOKEN_PREFIX, hasher.finish())
}
