//! `cargo xtask bench peers`: certgate beside OpenBao, step-ca and CFSSL, with the same client.
//!
//! All servers run at the same time, and take turns under load.

mod certgate;
mod cfssl;
mod openbao;
mod peer;
mod programs;
mod step_ca;
pub mod table;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use xtask::sources::root;

use self::peer::{Listing, Peer};
use self::programs::{Places, Program};
use self::table::{PeerFigure, What};
use super::arguments::Peers;
use super::http::{Connection, check_status};
use super::keeper::Keeper;
use super::machine::Machine;
use super::report;
use super::statistics::Samples;
use super::system::directory_bytes;

/// Clients that wait for an answer at a time.
const CLIENTS: [usize; 4] = [1, 16, 64, 256];

/// Certificates that each program issues before the first measurement.
const WARM_UP: usize = 200;

/// Certificates that are revoked, one after the other.
const REVOKED: usize = 9;

/// Certificates of a list to which the time of reading it is related.
const LISTED: f64 = 1_000.0;

/// Builds or installs the other programs, and measures them and this certgate.
pub fn run(arguments: &Peers, certgate: PathBuf, directory: PathBuf) -> anyhow::Result<()> {
    let binaries = programs::install(certgate)?;
    let keeper = Rc::new(Keeper::start(&directory.join("none"), &[&directory])?);
    let places = Places::make(directory, binaries, keeper)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure(arguments, &places))
}

async fn measure(arguments: &Peers, places: &Places) -> anyhow::Result<()> {
    let results = arguments.results.clone();
    let results = results.unwrap_or_else(|| root().join("target/peers.jsonl"));
    let mut file = report::begin(&results, &Machine::describe(arguments.seconds, None)?)?;
    let mut peers = vec![
        certgate::start(places).await?,
        openbao::start(places).await?,
        step_ca::start(places).await?,
        cfssl::start(places).await?,
    ];
    let mut disk = Vec::new();
    for peer in &mut peers {
        let second = Duration::from_secs(1);
        peer.load(CLIENTS[1], second, WARM_UP).await?;
        peer.issued = 0;
        disk.push(directory_bytes(&peer.data)?);
    }
    let mut figures = Figures::default();
    issue(arguments, &mut peers, &mut figures).await?;
    for peer in &peers {
        let bytes = peer.process.peak_memory_bytes()?;
        figures.add(peer.program, What::Memory, None, bytes);
        eprintln!("{}: {} certificates", peer.program.name(), peer.issued);
        if let Some(seconds) = read_all(peer).await? {
            figures.add(peer.program, What::ReadAll, None, seconds);
        }
    }
    for _ in 0..REVOKED {
        for peer in &peers {
            if let Some(seconds) = revoke(peer).await? {
                figures.add(peer.program, What::Publish, None, seconds);
            }
        }
    }
    for (peer, before) in peers.into_iter().zip(disk) {
        let Peer {
            program,
            process,
            data,
            issued,
            ..
        } = peer;
        process.stop()?;
        // CFSSL stores nothing.
        let stored = directory_bytes(&data)?.saturating_sub(before) as f64 / issued as f64;
        if program != Program::Cfssl {
            figures.add(program, What::Disk, None, stored);
        }
    }
    for figure in figures.all() {
        table::add(&mut file, &figure)?;
    }
    println!("{}", table::table(&table::read(&results)?));
    eprintln!(
        "The figures are in {0}; cargo xtask bench peers --plot {0} puts them into the documents.",
        results.display()
    );
    Ok(())
}

/// Lets the programs take turns. The order changes, so that a slower machine slows all.
async fn issue(arguments: &Peers, peers: &mut [Peer], figures: &mut Figures) -> anyhow::Result<()> {
    let duration = Duration::from_secs(arguments.seconds);
    for round in 0..arguments.rounds {
        for clients in CLIENTS {
            for turn in 0..peers.len() {
                let number = (turn + round as usize) % peers.len();
                let peer = &mut peers[number];
                let most = peer.most(arguments.seconds);
                let measured = peer.load(clients, duration, most).await?;
                let count = measured.latency.len() as f64;
                eprintln!(
                    "  {} with {clients} clients: {:.0}/s",
                    peer.program.name(),
                    measured.per_second
                );
                let at = Some(clients as u64);
                let mut add = |what, value| figures.add(peer.program, what, at, value);
                add(What::Issue, measured.per_second);
                add(What::Latency, measured.latency.percentile(99));
                let seconds = measured.processor_seconds.context("no processor time")?;
                add(What::Processor, seconds / count);
            }
        }
    }
    Ok(())
}

/// Reads all certificates of a program with one client. Returns the seconds for each thousand, or
/// [`None`] if the program has no list.
async fn read_all(peer: &Peer) -> anyhow::Result<Option<f64>> {
    let mut connection = Connection::open(peer.endpoint.clone()).await?;
    let begun = Instant::now();
    let mut count = 0;
    match &peer.listing {
        None => return Ok(None),
        Some(Listing::Pages(page)) => {
            for number in 1.. {
                let answer = connection.json(&page(number)).await?;
                let found = answer["result"].as_array().context("no result")?;
                if found.is_empty() {
                    break;
                }
                count += found.len();
            }
        }
        Some(Listing::Serials { list, get }) => {
            let answer = connection.json(list).await?;
            let serials = answer["data"]["keys"].as_array().context("no keys")?;
            for serial in serials {
                let get = get(serial.as_str().unwrap_or_default());
                let answer = connection.json(&get).await?;
                ensure!(answer["data"]["certificate"].is_string(), "no PEM");
            }
            count = serials.len();
        }
    }
    ensure!(count as u64 >= peer.issued, "the list is not complete");
    Ok(Some(begun.elapsed().as_secs_f64() / count as f64 * LISTED))
}

/// Issues a certificate and revokes it. Returns the seconds from the request to the first CRL that
/// has the certificate, or [`None`] if the program has no CRL.
async fn revoke(peer: &Peer) -> anyhow::Result<Option<f64>> {
    let Some(revocation) = &peer.revocation else {
        return Ok(None);
    };
    let mut connection = Connection::open(peer.endpoint.clone()).await?;
    let mut lists = Connection::open(revocation.lists.clone()).await?;
    let answer = connection.json(&peer.issue()?).await?;
    let serial = peer.serial(&answer)?;
    let revoke = (revocation.revoke)(&answer, &serial)?;
    let begun = Instant::now();
    connection.timed(&revoke).await?;
    loop {
        let (status, list) = lists.exchange(&revocation.list).await?;
        check_status(status, &list)?;
        if list.windows(serial.len()).any(|part| part == serial) {
            return Ok(Some(begun.elapsed().as_secs_f64()));
        }
    }
}

/// The samples of a run.
#[derive(Default)]
struct Figures(BTreeMap<(What, Option<u64>, Program), Samples>);

impl Figures {
    fn add(&mut self, program: Program, what: What, clients: Option<u64>, value: f64) {
        let key = (what, clients, program);
        self.0.entry(key).or_default().push(value);
    }

    /// Returns the medians. The ratio is the median of those of each turn.
    fn all(&self) -> Vec<PeerFigure> {
        let figure = |((what, clients, program), samples): (&(What, _, Program), &Samples)| {
            let ours = self.0.get(&(*what, *clients, Program::Certgate));
            PeerFigure {
                program: *program,
                what: *what,
                clients: *clients,
                value: samples.median(),
                ratio: ours.map(|ours| ours.median_ratio(samples)),
            }
        };
        self.0.iter().map(figure).collect()
    }
}
