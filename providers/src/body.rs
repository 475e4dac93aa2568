//! Answers come from others, who may never end them: a body is read up to a size.

use fleet::Fault;
use reqwest::Response;

use crate::call::Call;

/// Larger than this no answer is that any of our calls asks for: the largest pages have a few MiB.
pub(crate) const BODY_BYTES_MAX: usize = 16 << 20;

/// A whole body of at most `bytes_max`; until when it may come, the request's timeout says.
///
/// # Errors
/// `unheard` where it breaks off, and [`Call::too_long`].
pub(crate) async fn read(
    call: Call,
    mut response: Response,
    bytes_max: usize,
    unheard: impl Fn(reqwest::Error) -> Fault,
) -> Result<Vec<u8>, Fault> {
    // What is announced as too long need not come.
    if response.content_length().is_some_and(|length| length > bytes_max as u64) {
        return Err(call.too_long(bytes_max));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(&unheard)? {
        if body.len() + chunk.len() > bytes_max {
            return Err(call.too_long(bytes_max));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fleet::FaultKind;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const READ: Call = Call::read("test", "Read");
    const MAX: usize = 1 << 20;

    /// What comes of an answer with this head and `pieces` of 64 KiB.
    async fn answered(head: &'static str, pieces: usize) -> Result<usize, FaultKind> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(format!("HTTP/1.1 200 X\r\n{head}\r\n").as_bytes()).await;
            for _ in 0..pieces {
                if stream.write_all(&[b' '; 1 << 16]).await.is_err() {
                    return;
                }
            }
            if head.contains("close") {
                return;
            }
            tokio::time::sleep(Duration::from_secs(60)).await;
        });
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let asked = client.get(format!("http://{address}/")).timeout(Duration::from_secs(2));
        let response = asked.send().await.unwrap();
        let lost = |_| READ.fault(FaultKind::Unreachable, "it broke off");
        let read = read(READ, response, MAX, lost).await;
        server.abort();
        read.map(|body| body.len()).map_err(|fault| fault.kind)
    }

    #[tokio::test]
    async fn a_body_is_read_up_to_a_size_and_a_time() {
        let close = "connection: close\r\n";
        assert_eq!(answered(close, 0).await, Ok(0));
        assert_eq!(answered(close, 16).await, Ok(MAX));
        assert_eq!(answered(close, 17).await, Err(FaultKind::Unreadable));
        assert_eq!(answered("content-length: 131072\r\n", 2).await, Ok(131_072));
        // It announces more than we take, and never stops sending.
        assert_eq!(
            answered("content-length: 42949672960\r\n", usize::MAX).await,
            Err(FaultKind::Unreadable)
        );
        assert_eq!(answered("x: y\r\n", usize::MAX).await, Err(FaultKind::Unreadable));
        // It stops in the middle and keeps the connection.
        assert_eq!(answered("x: y\r\n", 3).await, Err(FaultKind::Unreachable));
    }

    #[cfg(any(feature = "alibaba", feature = "aws"))]
    #[test]
    fn a_change_with_an_answer_too_long_may_have_been_made() {
        let fault = Call::write("test", "Write").too_long(MAX);
        assert_eq!(
            (fault.kind, fault.detail.as_str()),
            (FaultKind::Unconfirmed, "an answer of more than 1 MiB")
        );
    }
}
