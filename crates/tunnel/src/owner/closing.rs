//! What becomes of an open that is under way when its session is closed, shown turn by turn: the owner runs on this
//! thread, against a real sshd.

use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use tokio::io::ReadBuf;
use tokio::sync::oneshot;

use super::rules::connect;
use super::{End, Job, Order, Owner, Target};
use crate::Error;
use crate::port::OUT;
use crate::sshd::{Bulk, PATIENCE, Sshd, enabled};

/// Its stream is put into a pool, which keeps it: nothing but the close of the session lets go of it. Otherwise the
/// session stays until `LINGER` is over.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_opens_while_its_session_is_closed_is_let_go() {
    if !enabled("a_stream_that_opens_while_its_session_is_closed_is_let_go") {
        return;
    }
    let sshd = Sshd::start("");
    let bulk = Bulk::start(sshd.path("bulk"), u64::MAX);
    let (orders, inbox) = mpsc::channel();
    let options = sshd.options();
    let mut owner = Owner::new(connect(&sshd), inbox, "lab".into(), options.keepalive, Arc::default());
    let (reply, mut opened) = oneshot::channel();
    let job = Job {
        target: Target::Streamlocal(bulk.path().into()),
        reply: Some(reply),
        permit: None,
        deadline: Instant::now() + PATIENCE,
        turn: Arc::default(),
        begun: false,
    };
    orders.send(Order::Open(job)).unwrap();
    // One turn sends the request. It waits for the answer, and leaves it to the next turn.
    assert!(owner.turn().is_ok());
    assert!(owner.opening.is_some() && owner.channels.is_empty(), "the open is under way");

    let (closed, _) = oneshot::channel();
    orders.send(Order::Close(closed)).unwrap();
    let mut pooled = None;
    let end = loop {
        if let Err(end) = owner.turn() {
            break end;
        }
        assert!(owner.closing.is_some());
        let kept = owner.channels.values().filter(|live| !live.is_let_go()).count();
        assert_eq!(kept, 0, "nobody has let go of the stream");
        pooled = pooled.or_else(|| opened.try_recv().ok());
    };
    assert!(matches!(end, End::Closed));
    assert!(owner.channels.is_empty() && owner.opening.is_none(), "ended because its time was up");

    // Whoever asked for it hears of the close.
    let stream = pooled.expect("the open was answered").expect("the server opened it");
    let mut space = [0; 16];
    let read = stream.poll_read(OUT, &mut Context::from_waker(Waker::noop()), &mut ReadBuf::new(&mut space));
    assert!(matches!(read, Poll::Ready(Err(Error::Closed { .. }))), "{read:?}");
}
