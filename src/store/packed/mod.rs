//! Stored bodies and pages: JSON, compressed where that pays.
//!
//! The first byte names the dictionary (1 to 31), four bytes the length of the JSON (big endian), the rest is a Zstandard frame (RFC 8878). What begins
//! with anything else is the JSON itself, as every version before stored it. Dictionaries may be added and are never changed or removed: a row is read
//! with the one that it names. `examples/dictionary.rs` makes one.

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::LazyLock;

use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};
use zstd::zstd_safe::CParameter;

/// Dictionaries by number, from 1. What is packed now takes the last one.
const DICTIONARIES: [&[u8]; 1] = [include_bytes!("1.zdict")];
/// The first bytes that name a dictionary. JSON never begins with one of these.
const NUMBERS: std::ops::Range<u8> = 1..32;
/// The dictionary's number and the length.
const HEADER: usize = 5;
/// Fewer bytes stay as they are.
const SMALL: usize = 128;
/// Zstandard's level. A body of 3 KB takes about as long at 1 as at 3, and 3 makes it smaller.
const LEVEL: i32 = 3;
/// No JSON is longer: a row that says so is damaged. Far above what a request may hold.
const LONGEST: usize = 1 << 30;
/// A thread keeps what it compresses with, up to this size of input: beyond it, the memory is released again.
const MAX_KEPT_INPUT: usize = 256 << 10;

static ENCODER: LazyLock<EncoderDictionary<'static>> = LazyLock::new(|| EncoderDictionary::copy(DICTIONARIES[DICTIONARIES.len() - 1], LEVEL));
static DECODERS: LazyLock<Vec<DecoderDictionary<'static>>> =
    LazyLock::new(|| DICTIONARIES.iter().map(|bytes| DecoderDictionary::copy(bytes)).collect());

thread_local! {
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
}

/// JSON as it is stored.
pub(super) fn pack(json: Vec<u8>) -> Vec<u8> {
    if json.len() < SMALL || json.len() > LONGEST {
        return json;
    }
    let mut packed = vec![0; HEADER + zstd::zstd_safe::compress_bound(json.len())];
    packed[0] = DICTIONARIES.len() as u8;
    packed[1..HEADER].copy_from_slice(&(json.len() as u32).to_be_bytes());
    match compress(&json, &mut packed[HEADER..]) {
        // A body of random text is not worth the time to read it back.
        Ok(written) if HEADER + written < json.len() - json.len() / 8 => {
            packed.truncate(HEADER + written);
            packed.shrink_to_fit();
            packed
        }
        _ => json,
    }
}

fn compress(json: &[u8], to: &mut [u8]) -> std::io::Result<usize> {
    if json.len() > MAX_KEPT_INPUT {
        return compressor()?.compress_to_buffer(json, to);
    }
    COMPRESSOR.with_borrow_mut(|kept| {
        let compressor = match kept {
            Some(compressor) => compressor,
            None => kept.insert(compressor()?),
        };
        compressor.compress_to_buffer(json, to)
    })
}

fn compressor() -> std::io::Result<Compressor<'static>> {
    let mut compressor = Compressor::with_prepared_dictionary(&ENCODER)?;
    // The row names length and dictionary itself, and what is damaged is not JSON.
    for parameter in [CParameter::ContentSizeFlag(false), CParameter::DictIdFlag(false), CParameter::ChecksumFlag(false)] {
        compressor.set_parameter(parameter)?;
    }
    Ok(compressor)
}

/// The length of the JSON in what is stored.
pub(super) fn unpacked_len(stored: &[u8]) -> usize {
    match stored {
        [number, a, b, c, d, ..] if NUMBERS.contains(number) => u32::from_be_bytes([*a, *b, *c, *d]) as usize,
        _ => stored.len(),
    }
}

/// The JSON in what is stored; the error says what is wrong with it.
pub fn unpack(stored: &[u8]) -> Result<Cow<'_, [u8]>, String> {
    let Some((&number, frame)) = stored.split_first().filter(|(number, _)| NUMBERS.contains(number)) else { return Ok(Cow::Borrowed(stored)) };
    let dictionary = DECODERS.get(usize::from(number) - 1).ok_or_else(|| format!("is packed with dictionary {number}, which a later version has"))?;
    let frame = frame.get(HEADER - 1..).ok_or("is cut off")?;
    if unpacked_len(stored) > LONGEST {
        return Err("says that it is longer than anything that is stored".into());
    }
    let mut json = vec![0; unpacked_len(stored)];
    let read =
        Decompressor::with_prepared_dictionary(dictionary).and_then(|mut decompressor| decompressor.decompress_to_buffer(frame, json.as_mut_slice()));
    match read {
        Ok(read) if read == json.len() => Ok(Cow::Owned(json)),
        Ok(_) => Err("has another length than it says".into()),
        Err(error) => Err(format!("cannot be unpacked ({error})")),
    }
}

#[cfg(test)]
mod tests;
