//! Reading the results that [`crate::script::batch`] frames.

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// Bytes that may come before the token: greetings of login scripts.
const GREETING_LIMIT: usize = 1 << 20;

/// Bytes of a header line; four numbers need far less.
const HEADER_LIMIT: u64 = 128;

/// What one command of a script has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finished {
    /// Exit status as the shell reports it: 127 for a missing program, 128 and more for a signal.
    pub status: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

/// Output of a script that is not in frames.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// The stream ended before the script had begun or was done.
    #[error("the output of the host's shell ends too early")]
    Ended,
    /// Something else than a header.
    #[error("the output of the host's shell is not understood: {0:?}")]
    Header(String),
    /// The connection broke.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Skips what stands before the line `token`.
pub(crate) async fn skip_greeting(
    stream: &mut (impl AsyncBufRead + Unpin),
    token: &str,
) -> Result<(), Broken> {
    let mut skipped = 0;
    let mut line = Vec::new();
    while skipped < GREETING_LIMIT {
        line.clear();
        // One line at a time, and never more than the limit of one that does not end.
        skipped += (&mut *stream).take(GREETING_LIMIT as u64).read_until(b'\n', &mut line).await?;
        if line.strip_suffix(b"\n") == Some(token.as_bytes()) {
            return Ok(());
        }
        if line.is_empty() {
            return Err(Broken::Ended);
        }
    }
    Err(Broken::Header(String::from_utf8_lossy(&line[..line.len().min(80)]).into_owned()))
}

/// Reads the next result with its index; `None` after the last one.
pub(crate) async fn next(
    stream: &mut (impl AsyncBufRead + Unpin),
) -> Result<Option<(usize, Finished)>, Broken> {
    let mut line = Vec::new();
    (&mut *stream).take(HEADER_LIMIT).read_until(b'\n', &mut line).await?;
    if line == b"end\n" {
        return Ok(None);
    }
    let (index, status, stdout, stderr) = header(&line).ok_or_else(|| match line.ends_with(b"\n") {
        true => Broken::Header(String::from_utf8_lossy(&line).trim_end().to_owned()),
        false if line.len() as u64 == HEADER_LIMIT => {
            Broken::Header(String::from_utf8_lossy(&line).into_owned())
        }
        false => Broken::Ended,
    })?;
    let stdout = exactly(stream, stdout).await?;
    let stderr = exactly(stream, stderr).await?;
    Ok(Some((index, Finished { status, stdout, stderr })))
}

fn header(line: &[u8]) -> Option<(usize, i32, u64, u64)> {
    let mut parts = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?.split(' ');
    let header = (
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
    );
    parts.next().is_none().then_some(header)
}

async fn exactly(stream: &mut (impl AsyncBufRead + Unpin), length: u64) -> Result<Vec<u8>, Broken> {
    // Memory grows with what arrives, not with what a header claims.
    let mut bytes = Vec::new();
    (&mut *stream).take(length).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(Broken::Ended) }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn results(stream: &[u8]) -> Result<Vec<(usize, Finished)>, Broken> {
        let mut stream = stream;
        skip_greeting(&mut stream, "token").await?;
        let mut results = Vec::new();
        while let Some(result) = next(&mut stream).await? {
            results.push(result);
        }
        Ok(results)
    }

    fn finished(status: i32, stdout: &[u8], stderr: &[u8]) -> Finished {
        Finished { status, stdout: stdout.to_vec(), stderr: stderr.to_vec() }
    }

    #[tokio::test]
    async fn results_come_in_any_order_with_any_bytes() {
        let stream = b"Welcome!\nlast login\xff\ntoken\n1 127 0 3\nx\n\n0 0 6 0\nend\n\0\xffend\n";
        let expected = vec![(1, finished(127, b"", b"x\n\n")), (0, finished(0, b"end\n\0\xff", b""))];
        assert_eq!(results(stream).await.unwrap(), expected);
    }

    #[tokio::test]
    async fn a_greeting_without_a_line_break_does_no_harm() {
        assert_eq!(results(b"motd\ntoken\nend\n").await.unwrap(), []);
    }

    #[tokio::test]
    async fn streams_that_end_early_are_errors() {
        for stream in
            [&b""[..], b"Welcome\n", b"token\n", b"token\n0 0", b"token\n0 0 5 0\nabc", b"token\n0 0 1 1\na"]
        {
            assert!(matches!(results(stream).await, Err(Broken::Ended)), "{stream:?}");
        }
    }

    #[tokio::test]
    async fn anything_else_is_not_understood() {
        let long = [b"token\n".as_slice(), &[b'7'; 200]].concat();
        for stream in
            [&b"token\nhello\n"[..], b"token\n0 0 0\n", b"token\n0 0 0 0 0\n", b"token\n-1 0 0 0\n", &long]
        {
            assert!(matches!(results(stream).await, Err(Broken::Header(_))), "{stream:?}");
        }
    }

    #[tokio::test]
    async fn an_endless_greeting_is_given_up() {
        let mut stream: &[u8] = &vec![b'x'; GREETING_LIMIT + 10];
        assert!(matches!(skip_greeting(&mut stream, "token").await, Err(Broken::Header(_))));
    }
}
