use super::*;

fn body(n: usize) -> Vec<u8> {
    let alert = |i: usize| {
        format!(
            r#"{{"labels":{{"alertname":"DiskFull","instance":"host-{n}-{i}:9100"}},"annotations":{{"summary":"the disk of host-{n}-{i} is full"}}}}"#
        )
    };
    format!(r#"{{"alerts":[{}]}}"#, (0..n).map(alert).collect::<Vec<_>>().join(",")).into_bytes()
}

#[test]
fn what_is_packed_is_read_back_and_smaller() {
    for n in [0, 1, 3, 40, 2000, 20_000] {
        let json = body(n);
        let stored = pack(json.clone());
        assert_eq!(unpacked_len(&stored), json.len());
        assert_eq!(unpack(&stored).unwrap(), json);
        assert!(n < 3 || stored.len() * 2 < json.len(), "{n} alerts: {} of {} bytes", stored.len(), json.len());
    }
}

#[test]
fn what_does_not_pay_stays_as_it_is() {
    let small = br#"{"alerts":[]}"#.to_vec();
    assert_eq!(pack(small.clone()), small);
    let noise: Vec<u8> = std::iter::once(b'"').chain((0..200).flat_map(|_| uuid::Uuid::new_v4().into_bytes())).collect();
    assert_eq!(pack(noise.clone()), noise);
    assert_eq!(unpacked_len(&noise), noise.len());
}

#[test]
fn what_an_earlier_version_stored_is_read() {
    assert_eq!(unpack(br#"{"a":1}"#).unwrap(), &br#"{"a":1}"#[..]);
    assert_eq!(unpack(b"[]").unwrap(), &b"[]"[..]);
    assert_eq!(unpack(b"").unwrap(), &b""[..]);
}

/// Every dictionary that was ever used must read what was packed with it.
#[test]
fn what_a_dictionary_packed_is_read_for_ever() {
    for (number, dictionary) in DICTIONARIES.iter().enumerate() {
        let json = body(3);
        let frame = Compressor::with_dictionary(LEVEL, dictionary).unwrap().compress(&json).unwrap();
        let mut stored = vec![number as u8 + 1];
        stored.extend((json.len() as u32).to_be_bytes());
        stored.extend(frame);
        assert_eq!(unpack(&stored).unwrap(), json);
    }
    let hashes: Vec<String> = DICTIONARIES.iter().map(|dictionary| crate::model::hash_hex(&[&format!("{dictionary:?}")])).collect();
    assert_eq!(hashes, ["b333cfc41bb98d4a"], "a dictionary may be added, and never changed");
}

#[test]
fn what_is_damaged_is_refused_and_said() {
    let good = pack(body(40));
    type Damage = fn(&mut Vec<u8>);
    let cases: [(Damage, &str); 6] = [
        (|b| b[0] = 31, "is packed with dictionary 31, which a later version has"),
        (|b| b.truncate(3), "is cut off"),
        (|b| b[1] = 0xff, "says that it is longer than anything that is stored"),
        (|b| b[2] += 1, "has another length than it says"),
        (|b| b[3] -= 1, "cannot be unpacked"),
        (|b| b.truncate(b.len() - 4), "cannot be unpacked"),
    ];
    for (damage, wanted) in cases {
        let mut bytes = good.clone();
        damage(&mut bytes);
        let told = unpack(&bytes).map(|json| json.len()).expect_err(wanted);
        assert!(told.starts_with(wanted), "{told}, not: {wanted}");
    }
    for place in HEADER..good.len() {
        let mut bytes = good.clone();
        bytes[place] ^= 0x41;
        // It may unpack to other bytes, which are not the JSON; it never panics.
        let _ = unpack(&bytes);
    }
}
