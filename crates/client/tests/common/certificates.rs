//! Authorities and certificates, made for one test.

#![allow(clippy::unwrap_used, reason = "a helper of tests may panic as a test does")]

use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, ExtendedKeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509Name};

/// A certificate with its key.
pub struct Pair {
    pub certificate: X509,
    pub key: PKey<Private>,
}

impl Pair {
    /// The certificate in PEM form.
    pub fn certificate_pem(&self) -> Vec<u8> {
        self.certificate.to_pem().unwrap()
    }

    /// The key in PEM form.
    pub fn key_pem(&self) -> Vec<u8> {
        self.key.private_key_to_pem_pkcs8().unwrap()
    }
}

/// Makes an authority.
pub fn authority(name: &str) -> Pair {
    make(name, None, &[], 0, 30)
}

/// Makes a certificate that `authority` has signed, for these names and addresses, valid from `begin` to
/// `end` in days from now.
pub fn signed(authority: &Pair, name: &str, names: &[&str], (begin, end): (i64, i64)) -> Pair {
    make(name, Some(authority), names, begin, end)
}

fn make(name: &str, authority: Option<&Pair>, names: &[&str], begin: i64, end: i64) -> Pair {
    let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap();
    let mut subject = X509Name::builder().unwrap();
    subject.append_entry_by_nid(Nid::COMMONNAME, name).unwrap();
    let subject = subject.build();
    let day = |days: i64| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        Asn1Time::from_unix(i64::try_from(now).unwrap() + days * 86_400 - 60).unwrap()
    };
    let mut serial = BigNum::new().unwrap();
    serial.rand(120, openssl::bn::MsbOption::MAYBE_ZERO, false).unwrap();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_issuer_name(authority.map_or(&*subject, |pair| pair.certificate.subject_name())).unwrap();
    builder.set_not_before(&day(begin)).unwrap();
    builder.set_not_after(&day(end)).unwrap();
    builder.set_pubkey(&key).unwrap();
    if authority.is_none() {
        builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
    } else {
        let usage = ExtendedKeyUsage::new().server_auth().client_auth().build().unwrap();
        builder.append_extension(usage).unwrap();
    }
    if !names.is_empty() {
        let mut all = SubjectAlternativeName::new();
        for name in names {
            if name.parse::<std::net::IpAddr>().is_ok() {
                all.ip(name)
            } else {
                all.dns(name)
            };
        }
        let extension = all.build(&builder.x509v3_context(None, None)).unwrap();
        builder.append_extension(extension).unwrap();
    }
    builder.sign(authority.map_or(&key, |pair| &pair.key), MessageDigest::sha256()).unwrap();
    Pair { certificate: builder.build(), key }
}
