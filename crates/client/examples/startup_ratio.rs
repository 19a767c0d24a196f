//! Compares creating and starting 20 containers by a plan with the same calls sent by a bare client, 8
//! at a time both.
//!
//! ```text
//! cargo run --release -p dfab-client --example startup_ratio -- /var/run/docker.sock busybox:latest
//! ```

#![allow(clippy::print_stdout, reason = "an example that reports")]

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dfab_client::apply::{ApplyOptions, Backends};
use dfab_client::observe;
use dfab_client::{ApiBackend, ApiOptions, Backend, LocalConnector, apply, engine_json};
use dfab_map::image::ImageName;
use dfab_map::item::Kind;
use dfab_map::names::ClientName;
use dfab_map::observed::Wanted;
use dfab_map::plan::{Action, Call, Plan, Step, StepId};
use dfab_map::property::Property;
use dfab_map::spec::{ContainerSpec, Properties};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

const COUNT: usize = 20;
const AT_ONCE: usize = 8;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let socket = arguments.next().unwrap_or_else(|| "/var/run/docker.sock".into());
    let image = ImageName::expand(&arguments.next().unwrap_or_else(|| "busybox:latest".into()), None, None)?;
    let backend: Arc<dyn Backend> =
        Arc::new(ApiBackend::new(Arc::new(LocalConnector::unix(&socket)), ApiOptions::default()));
    let specs: Vec<ContainerSpec> = (0..COUNT).map(|number| spec(number, &image)).collect();

    let (mut raw, mut planned) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        remove(&backend, &specs).await?;
        raw.push(bare(&socket, &specs).await?);
        remove(&backend, &specs).await?;
        planned.push(with_plan(&backend, &specs).await?);
    }
    let wanted =
        Wanted { containers: specs.iter().map(|spec| spec.name.clone()).collect(), ..Wanted::default() };
    let (requests, started) = (backend.requests(), Instant::now());
    observe(backend.as_ref(), &wanted).await?;
    let (observing, requests) = (started.elapsed(), backend.requests() - requests);
    remove(&backend, &specs).await?;

    let (raw, planned) = (median(raw), median(planned));
    println!("bare client  {:.3} s", raw.as_secs_f64());
    println!("plan         {:.3} s", planned.as_secs_f64());
    println!("ratio        {:.3}", planned.as_secs_f64() / raw.as_secs_f64());
    println!("observing {COUNT} containers: {requests} requests, {:.4} s", observing.as_secs_f64());
    Ok(())
}

fn spec(number: usize, image: &ImageName) -> ContainerSpec {
    ContainerSpec {
        name: format!("dfab-ratio.{number}"),
        image: image.clone(),
        properties: Properties::from([(Property::Command, json!(["sleep", "1000"]))]),
        first_endpoint: None,
        own_labels: BTreeMap::new(),
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

async fn remove(backend: &Arc<dyn Backend>, specs: &[ContainerSpec]) -> Result<(), Box<dyn Error>> {
    for spec in specs {
        match backend.remove_container(&spec.name, true, true).await {
            Err(error) if !error.is_not_found() => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

async fn with_plan(backend: &Arc<dyn Backend>, specs: &[ContainerSpec]) -> Result<Duration, Box<dyn Error>> {
    let client = ClientName::default_client();
    let steps = specs.iter().zip(1..).map(|(spec, id)| Step {
        id: StepId(id),
        client: client.clone(),
        kind: Kind::Container,
        name: spec.name.clone(),
        action: Action::Create,
        reasons: Vec::new(),
        after: Vec::new(),
        calls: vec![
            Call::CreateContainer(Box::new(spec.clone())),
            Call::StartContainer { name: spec.name.clone(), delay: None },
        ],
    });
    let plan = Plan { steps: steps.collect(), ..Plan::default() };
    let backends = Backends::from([(client, Arc::clone(backend))]);
    let started = Instant::now();
    let options = ApplyOptions { jobs: AT_ONCE, ..ApplyOptions::default() };
    let report = apply(&plan, &backends, &options, &tokio::sync::mpsc::unbounded_channel().0).await;
    match report.failures().next() {
        Some((_, error)) => Err(format!("{error}: {}", error.cause).into()),
        None => Ok(started.elapsed()),
    }
}

/// The same calls, written by hand on one connection for each worker.
async fn bare(socket: &str, specs: &[ContainerSpec]) -> Result<Duration, Box<dyn Error>> {
    let started = Instant::now();
    let next = AtomicUsize::new(0);
    let workers = (0..AT_ONCE).map(|_| async {
        let mut stream = UnixStream::connect(socket).await?;
        while let Some(spec) = specs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let body = engine_json::container_body(spec, (1, 41)).to_string();
            post(&mut stream, &format!("/v1.41/containers/create?name={}", spec.name), &body).await?;
            post(&mut stream, &format!("/v1.41/containers/{}/start", spec.name), "").await?;
        }
        Ok::<_, Box<dyn Error>>(())
    });
    futures_util::future::try_join_all(workers).await?;
    Ok(started.elapsed())
}

async fn post(stream: &mut UnixStream, path: &str, body: &str) -> Result<(), Box<dyn Error>> {
    let length = body.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await?;
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let count = stream.read(&mut buffer).await?;
        answer.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&answer);
        if let Some((head, rest)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
            let length: usize = length.map_or(Ok(0), str::parse)?;
            if rest.len() >= length {
                return if head.contains(" 20") { Ok(()) } else { Err(text.into()) };
            }
        }
        if count == 0 {
            return Err("the connection was closed".into());
        }
    }
}
