//! Names and values of a query or of a form (`application/x-www-form-urlencoded`).

/// Characters of a name that are kept: longer than any that is asked for.
const MAX_NAME: usize = 60;

/// The names and values, decoded, in their order; a name without `=` has an empty value. What is no UTF-8 is replaced.
pub(super) fn pairs(text: Option<&str>) -> impl Iterator<Item = (String, String)> {
    let decode = |text: &str| percent_encoding::percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    text.unwrap_or("").split('&').filter(|pair| !pair.is_empty()).map(move |pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name).chars().take(MAX_NAME).collect(), decode(value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: Option<&str>) -> Vec<(String, String)> {
        pairs(text).collect()
    }

    #[test]
    fn names_and_values_are_decoded_in_their_order() {
        let of = |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect::<Vec<_>>();
        assert_eq!(read(Some("a=1+2&b%20c=%E5%BC%A0%3D&a=x=y&&d")), of(&[("a", "1 2"), ("b c", "张="), ("a", "x=y"), ("d", "")]));
        assert_eq!((read(None), read(Some("&&"))), (Vec::new(), Vec::new()));
        assert_eq!(read(Some("a=%ff%")), of(&[("a", "\u{fffd}%")]));
        assert_eq!(read(Some(&"n".repeat(100)))[0].0.len(), MAX_NAME);
    }
}
