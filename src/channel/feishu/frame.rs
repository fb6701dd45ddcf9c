//! Frames of the long connection: protobuf 2, a message of nine fields, written as the vendor's SDKs do. Pure.
//! <https://github.com/larksuite/oapi-sdk-go/blob/v3_main/ws/pbbp2.pb.go>

/// What a frame is for.
pub(super) const CONTROL: i32 = 0;
/// An event, and the answer to it.
pub(super) const DATA: i32 = 1;

/// A frame.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Frame {
    pub seq: u64,
    pub log: u64,
    pub service: i32,
    pub method: i32,
    pub headers: Vec<(String, String)>,
    pub payload_encoding: Option<String>,
    pub payload_type: Option<String>,
    pub payload: Option<Vec<u8>>,
    pub log_new: Option<String>,
}

impl Frame {
    /// A sign of life; the answer to it may bring new settings.
    pub(super) fn ping(service: i32) -> Self {
        Self { service, method: CONTROL, headers: vec![("type".into(), "ping".into())], ..Self::default() }
    }

    /// A header's value; empty where it is missing.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// The bytes. The first four fields are required: they are written even when they are 0.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        // An int32 is written as 64 bits, with its sign.
        for (field, value) in [(1, self.seq), (2, self.log), (3, i64::from(self.service) as u64), (4, i64::from(self.method) as u64)] {
            varint(&mut out, field << 3);
            varint(&mut out, value);
        }
        for (key, value) in &self.headers {
            let mut header = Vec::new();
            bytes(&mut header, 1, key.as_bytes());
            bytes(&mut header, 2, value.as_bytes());
            bytes(&mut out, 5, &header);
        }
        let texts = [(6, &self.payload_encoding), (7, &self.payload_type)];
        for (field, text) in texts.into_iter().filter_map(|(field, text)| Some((field, text.as_ref()?))) {
            bytes(&mut out, field, text.as_bytes());
        }
        if let Some(payload) = &self.payload {
            bytes(&mut out, 8, payload);
        }
        if let Some(log) = &self.log_new {
            bytes(&mut out, 9, log.as_bytes());
        }
        out
    }

    /// The frame of these bytes; fields that are not known are skipped, `None` for what is no frame.
    pub(super) fn decode(mut rest: &[u8]) -> Option<Self> {
        let mut frame = Self::default();
        while !rest.is_empty() {
            match field(&mut rest)? {
                (1, Value::Number(value)) => frame.seq = value,
                (2, Value::Number(value)) => frame.log = value,
                (3, Value::Number(value)) => frame.service = value as i32,
                (4, Value::Number(value)) => frame.method = value as i32,
                (5, Value::Bytes(header)) => frame.headers.push(pair(header)?),
                (6, Value::Bytes(value)) => frame.payload_encoding = Some(text(value)?),
                (7, Value::Bytes(value)) => frame.payload_type = Some(text(value)?),
                (8, Value::Bytes(value)) => frame.payload = Some(value.to_vec()),
                (9, Value::Bytes(value)) => frame.log_new = Some(text(value)?),
                _ => {}
            }
        }
        Some(frame)
    }
}

/// A field's value.
enum Value<'b> {
    Number(u64),
    Bytes(&'b [u8]),
    /// Of a kind that no field of a frame is.
    Other,
}

fn pair(mut rest: &[u8]) -> Option<(String, String)> {
    let mut pair = (String::new(), String::new());
    while !rest.is_empty() {
        match field(&mut rest)? {
            (1, Value::Bytes(key)) => pair.0 = text(key)?,
            (2, Value::Bytes(value)) => pair.1 = text(value)?,
            _ => {}
        }
    }
    Some(pair)
}

fn text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

fn field<'b>(rest: &mut &'b [u8]) -> Option<(u64, Value<'b>)> {
    let tag = read_varint(rest)?;
    let value = match tag & 7 {
        0 => Value::Number(read_varint(rest)?),
        1 => take(rest, 8).map(|_| Value::Other)?,
        2 => {
            let length = usize::try_from(read_varint(rest)?).ok()?;
            Value::Bytes(take(rest, length)?)
        }
        5 => take(rest, 4).map(|_| Value::Other)?,
        _ => return None,
    };
    Some((tag >> 3, value))
}

fn take<'b>(rest: &mut &'b [u8], length: usize) -> Option<&'b [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn read_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    for place in 0..10 {
        let byte = take(rest, 1)?[0];
        value |= u64::from(byte & 0x7F) << (7 * place);
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Bytes of the vendor's Python SDK, 1.7.5.
    #[test]
    fn frames_are_the_vendors() {
        assert_eq!(hex(&Frame::ping(123).encode()), "08001000187b20002a0c0a0474797065120470696e67");
        let headers = [("type", "event"), ("message_id", "m1"), ("sum", "1"), ("seq", "0"), ("trace_id", "t1")];
        let data = Frame {
            seq: 1,
            log: 2,
            service: 123,
            method: DATA,
            headers: headers.map(|(key, value)| (key.into(), value.into())).to_vec(),
            payload: Some(br#"{"schema":"2.0"}"#.to_vec()),
            ..Frame::default()
        };
        let expected = "08011002187b20012a0d0a047479706512056576656e742a100a0a6d6573736167655f696412026d312a080a0373756d1201312a080a037365711201302a0e0a0874726163\
                        655f69641202743142107b22736368656d61223a22322e30227d";
        assert_eq!(hex(&data.encode()), expected);
        assert_eq!((data.header("message_id"), data.header("none")), ("m1", ""));
    }

    #[test]
    fn what_is_no_frame_is_none_and_unknown_fields_are_skipped() {
        let ping = Frame::ping(1).encode();
        // A number, eight bytes, four bytes, and text under numbers that no frame has.
        let more = [ping.clone(), vec![0x78, 1, 0x79, 1, 2, 3, 4, 5, 6, 7, 8, 0x7D, 1, 2, 3, 4, 0x7A, 1, 9]].concat();
        assert_eq!(Frame::decode(&more), Some(Frame::ping(1)));
        for bad in
            [&[0x08][..], &[0x2A, 5, 0x0A], &[0x0B], &[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1], &[0x42, 0xFF, 0xFF, 0xFF, 0x7F]]
        {
            assert_eq!(Frame::decode(bad), None, "{bad:?}");
        }
        assert_eq!(Frame::decode(&[0x32, 1, 0xFF]), None, "no UTF-8");
    }

    proptest! {
        #[test]
        fn a_frame_is_read_as_it_was_written(
            numbers: (u64, u64, i32, i32),
            headers in proptest::collection::vec(("\\PC{0,20}", "\\PC{0,300}"), 0..5),
            payload in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..300)),
            text in proptest::option::of("\\PC{0,20}"),
        ) {
            let (seq, log, service, method) = numbers;
            let frame = Frame { seq, log, service, method, headers, payload, payload_encoding: text.clone(), payload_type: text.clone(), log_new: text };
            prop_assert_eq!(Frame::decode(&frame.encode()), Some(frame));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Frame::decode(&bytes);
        }
    }
}
