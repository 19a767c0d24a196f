//! The rules of libssh2 (design §5, and what its source adds), and the test that fails when one is broken:
//!
//! | rule | held by | test |
//! |---|---|---|
//! | one thread for a session and all its objects | `raw::Channel` is not `Send` | `raw::channel::tests::channels_cannot_leave_their_thread` (does not compile) |
//! | a half-sent packet is sent to its end before anything else | the send callback takes packets whole | `raw::buffers::tests::packets_are_taken_whole_and_in_order` |
//! | a write that would block is repeated with the same bytes | `Live::inflight` | `a_write_that_waits_is_repeated_with_the_same_bytes` below |
//! | a window adjustment that would block is repeated with the same amount | `raw::Channel::finish_widening` | `an_adjustment_that_waits_keeps_its_amount` below |
//! | reads of a channel are all of one length | `Live::read` | `reads_are_all_of_one_length` below |
//! | libssh2 cuts off what exceeds the window it counts, and goes on | `raw::buffers::notice_loss`, `Owner::parse` | `bytes_that_libssh2_threw_away_are_an_error` below |
//! | opens are serial: their state belongs to the session | `Owner::opening` | `live: streams::many_opens_at_once_reach_their_own_sockets` |
//! | an answer that takes libssh2's 60 s ends the connection | `raw::install` waits without end | `raw::session::tests::answers_may_take_as_long_as_they_like` |
//! | freeing a channel is a session call, and may have to wait | `Live::free` | `live: faults::streams_dropped_anywhere_are_closed_on_the_server` |
//! | nothing reads the connection while no channel does | `Owner::drive` and its probe | `live: faults::a_silent_peer_that_answers_is_kept` |
//! | versions before 1.11.1 stop for ever when keys are exchanged under load | the floor in Cargo.toml | `raw::tests::libssh2_is_not_older_than_the_floor`, `live: streams::up_and_down_at_once_with_rekeying_every_megabyte` |
//!
//! "live" is `tests/live`. The tests below use a real sshd too, on this thread instead of an owner's, so
//! that they can have libssh2's packets refused at will.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::io::ReadBuf;

use super::channel::{Live, Turn};
use super::window::{Path, READ, WINDOW};
use super::{PACKET, Target};
use crate::owner::link::Link;
use crate::owner::login::Tried;
use crate::port::{Handle, OUT, Port};
use crate::raw::{Channel, Failure, refusals_left, refuse};
use crate::sshd::{Bulk, PATIENCE, Sshd, enabled, pattern};
use crate::wake::Wake;

const LENGTH: u64 = 30 * 1024 * 1024;

/// A logged-in connection that belongs to this thread.
pub(super) fn connect(sshd: &Sshd) -> Link {
    let socket = std::net::TcpStream::connect(("127.0.0.1", sshd.port)).unwrap();
    socket.set_nonblocking(true).unwrap();
    let wake = Arc::new(Wake::new().unwrap());
    crate::session::prepare(OwnedFd::from(socket), &wake, &sshd.options(), Tried::default(), &|| false)
        .ok()
        .unwrap()
        .0
}

fn open(link: &mut Link, path: &str) -> Channel {
    let (kind, message) = Target::Streamlocal(path.into()).request();
    let open = |link: &mut Link| Channel::open(&link.session, kind, WINDOW, PACKET, &message);
    link.until(Instant::now() + PATIENCE, &|| false, open).unwrap()
}

/// A stream to a server that does as its first byte says.
fn stream(link: &mut Link, path: &str, first: &[u8]) -> (Live, Handle) {
    let port = Port::new(0, Arc::clone(&link.wake));
    let handle = port.acquire();
    let mut live = Live::new(open(link, path), port, None);
    write(&handle, first);
    turn(&mut live, link).unwrap();
    link.flush();
    (live, handle)
}

fn turn(live: &mut Live, link: &mut Link) -> Result<Turn, Failure> {
    live.look = true;
    // Windows neither grow nor shrink.
    let mut path = Path::narrow();
    let result = live.turn(&mut vec![0; READ as usize], &mut path);
    link.wait(Some(Duration::from_millis(5)));
    result
}

fn write(handle: &Handle, bytes: &[u8]) -> usize {
    match handle.poll_write(&mut Context::from_waker(Waker::noop()), bytes) {
        Poll::Ready(written) => written.unwrap(),
        Poll::Pending => 0,
    }
}

fn read(handle: &Handle, space: &mut [u8]) -> usize {
    let mut target = ReadBuf::new(space);
    match handle.poll_read(OUT, &mut Context::from_waker(Waker::noop()), &mut target) {
        Poll::Ready(read) => read.unwrap(),
        Poll::Pending => {}
    }
    target.filled().len()
}

/// Takes nothing until the server has sent all that it may, which is all that libssh2 counts.
fn rest(live: &mut Live, link: &mut Link) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        turn(live, link).unwrap();
        live.drive().unwrap();
        let (window, waiting) = live.window_left();
        if window == waiting {
            return;
        }
        assert!(Instant::now() < deadline, "the server may send less than is counted: {waiting} of {window}");
    }
}

/// Downloads while every other packet has to wait. Nothing is sent meanwhile but adjustments.
async fn download_with_waiting_adjustments(window: u32) {
    let sshd = Sshd::start("");
    let bulk = Bulk::start(sshd.path("bulk"), u64::MAX);
    let mut link = connect(&sshd);
    let (mut live, handle) = stream(&mut link, bulk.path(), b"<");
    live.grow(window);
    let (mut block, mut expected) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let (mut taken, mut refused, mut turns, mut next_rest) = (0, 0, 0_u32, LENGTH / 10);
    let deadline = Instant::now() + PATIENCE;
    while taken < LENGTH {
        assert!(Instant::now() < deadline, "the download stands still at {taken}");
        turns += 1;
        let wait = turns % 2;
        refuse(wait);
        turn(&mut live, &mut link).unwrap();
        refused += wait - refusals_left();
        refuse(0);
        // At an uneven pace: the room in the stream's buffer differs from turn to turn.
        let mut share = 100_000 + (turns as usize * 69_069) % 99_991;
        while share > 0 {
            let part = share.min(block.len());
            let size = read(&handle, &mut block[..part]);
            if size == 0 {
                break;
            }
            pattern(taken, &mut expected[..size]);
            assert!(block[..size] == expected[..size], "wrong bytes near {taken}");
            taken += size as u64;
            share -= size;
        }
        if taken >= next_rest {
            next_rest += LENGTH / 10;
            rest(&mut live, &mut link);
        }
    }
    assert!(refused > 3, "only {refused} adjustments had to wait");
}

/// Downloads gave wrong bytes once windows had begun to grow: what was taken is then given back by us,
/// between the adjustments that libssh2 makes.
#[tokio::test(flavor = "multi_thread")]
async fn an_adjustment_that_waits_keeps_its_amount() {
    if enabled("an_adjustment_that_waits_keeps_its_amount") {
        download_with_waiting_adjustments(2 * WINDOW).await;
    }
}

/// Here all adjustments are libssh2's, by an amount that depends on the length of the read.
#[tokio::test(flavor = "multi_thread")]
async fn reads_are_all_of_one_length() {
    if enabled("reads_are_all_of_one_length") {
        download_with_waiting_adjustments(WINDOW).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_waits_is_repeated_with_the_same_bytes() {
    if !enabled("a_write_that_waits_is_repeated_with_the_same_bytes") {
        return;
    }
    let sshd = Sshd::start("");
    let bulk = Bulk::start(sshd.path("bulk"), 0);
    let mut link = connect(&sshd);
    let (mut live, handle) = stream(&mut link, bulk.path(), b">");
    let mut block = vec![0; 64 * 1024];
    let (mut sent, mut refused, mut turns) = (0, 0, 0_u32);
    let deadline = Instant::now() + PATIENCE;
    const LENGTH: u64 = 4 * 1024 * 1024;
    while sent < LENGTH {
        assert!(Instant::now() < deadline, "the upload stands still at {sent}");
        let size = block.len().min((LENGTH - sent) as usize);
        pattern(sent, &mut block[..size]);
        sent += write(&handle, &block[..size]) as u64;
        turns += 1;
        let wait = turns % 2;
        refuse(wait);
        turn(&mut live, &mut link).unwrap();
        refused += wait - refusals_left();
        refuse(0);
    }
    handle.finish().unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"e") {
        assert!(Instant::now() < deadline, "no answer");
        turn(&mut live, &mut link).unwrap();
        let size = read(&handle, &mut block);
        answer.extend_from_slice(&block[..size]);
    }
    assert_eq!(String::from_utf8_lossy(&answer), format!("{LENGTH} true"));
    assert!(refused > 3, "only {refused} packets had to wait");
}

/// libssh2 is made to count less than the server was granted: the careless way to do two adjustments.
#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_libssh2_threw_away_are_an_error() {
    if !enabled("bytes_that_libssh2_threw_away_are_an_error") {
        return;
    }
    let sshd = Sshd::start("");
    let bulk = Bulk::start(sshd.path("bulk"), u64::MAX);
    let mut link = connect(&sshd);
    let channel = open(&mut link, bulk.path());
    assert_eq!(channel.write(b"<").unwrap(), 1);
    refuse(1);
    assert!(channel.adjust_carelessly(8 * 1024 * 1024).unwrap_err().would_block());
    channel.adjust_carelessly(1).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let failure = loop {
        assert!(Instant::now() < deadline, "nothing is noticed");
        link.wait(Some(Duration::from_millis(5)));
        match channel.drive() {
            Err(failure) if failure.would_block() => {}
            result => break result.unwrap_err(),
        }
    };
    assert!(!failure.is_of_channel() && failure.message.contains("bytes were lost"), "{failure:?}");
    assert_eq!(channel.read(crate::raw::Output::Standard, &mut [0; 1024]).unwrap_err(), failure);
}
