//! Compresses the files of the console and of the page of an invite, and names their folders after
//! all files in each.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

/// The files of the repository, seen from this crate.
const FOLDER: &str = "../../console";

/// A page with the files that it loads. Each page has a folder of its own, so that the address of
/// the one shows no file of the other.
struct Bundle {
    /// The beginning of the names of its constants.
    name: &'static str,
    /// The page.
    index: &'static str,
    /// The way from the address of the page to the folder with its files.
    base: &'static str,
    /// The files and folders in [`FOLDER`] that browsers load. The others are for development.
    files: &'static [&'static str],
}

const BUNDLES: [Bundle; 2] = [
    Bundle {
        name: "",
        index: "index.html",
        base: "",
        files: &[
            "index.html",
            "style.css",
            "icon.svg",
            "js",
            "vendor/lit-html.js",
            "vendor/qr.js",
        ],
    },
    Bundle {
        name: "INVITE_",
        index: "invite/index.html",
        base: "../assets/",
        files: &[
            "invite",
            "style.css",
            "icon.svg",
            "js/requests",
            "js/shell-words.js",
            "js/text.js",
            "js/ui/certificate-name.js",
            "js/ui/copy.js",
            "js/ui/download.js",
            "js/ui/named.js",
            "js/ui/time.js",
            "vendor/lit-html.js",
        ],
    },
];

/// The octets of the digest in the name of the folder: enough for a change never to repeat a name.
const DIGEST_OCTETS: usize = 8;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    println!("cargo::rerun-if-changed={FOLDER}");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let mut table = String::new();
    for bundle in &BUNDLES {
        write_bundle(bundle, &out, &mut table)?;
    }
    fs::write(out.join("files.rs"), table)?;
    Ok(())
}

/// Compresses the files of a bundle, and adds its constants to the table.
fn write_bundle(bundle: &Bundle, out: &Path, table: &mut String) -> Result<()> {
    let mut paths = Vec::new();
    for name in bundle.files {
        collect(&Path::new(FOLDER).join(name), &mut paths)?;
    }
    paths.sort();

    let mut digest = Sha256::new();
    let mut files = Vec::new();
    for path in &paths {
        let name = path.strip_prefix(FOLDER)?.to_str().ok_or("not UTF-8")?;
        let content = fs::read(path)?;
        digest.update(format!("{name}\0{}\0", content.len()));
        digest.update(&content);
        files.push((name, content));
    }
    let digest: String = digest.finalize()[..DIGEST_OCTETS]
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();

    let Bundle { name: prefix, .. } = bundle;
    writeln!(table, "pub(crate) const {prefix}DIGEST: &str = {digest:?};")?;
    let mut entries = String::new();
    for (number, (name, content)) in files.iter().enumerate() {
        let gzip_path = out.join(format!("{prefix}{number}.gz"));
        if *name == bundle.index {
            // Its references get the name of the folder. It has none itself.
            let folder = format!("=\"{}{digest}/", bundle.base);
            let text = std::str::from_utf8(content)?.replace("=\"./", &folder);
            fs::write(&gzip_path, compressed(text.as_bytes())?)?;
            writeln!(
                table,
                "pub(crate) const {prefix}INDEX: &[u8] = include_bytes!({gzip_path:?});"
            )?;
            continue;
        }
        fs::write(&gzip_path, compressed(content)?)?;
        let media_type = media_type(name)?;
        writeln!(
            entries,
            "    File {{ path: {name:?}, media_type: {media_type:?}, gzip: include_bytes!({gzip_path:?}) }},"
        )?;
    }
    writeln!(
        table,
        "pub(crate) const {prefix}FILES: &[File] = &[\n{entries}];"
    )?;
    Ok(())
}

/// Adds a file, or all files of a folder.
fn collect(path: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            collect(&entry?.path(), found)?;
        }
    } else {
        found.push(path.to_owned());
    }
    Ok(())
}

fn media_type(name: &str) -> Result<&'static str> {
    Ok(match Path::new(name).extension().and_then(|e| e.to_str()) {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => return Err(format!("{name}: give its kind of file a media type").into()),
    })
}

fn compressed(content: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content)?;
    Ok(encoder.finish()?)
}
