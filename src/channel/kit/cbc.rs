//! AES-256 in CBC mode, as platforms encrypt what they post. What is decrypted is not proven to be the platform's: a signature or a token does that.

use aes::Aes256;
use cbc::Decryptor;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt as _, KeyIvInit as _};

/// Bytes of a block of AES.
pub const BLOCK: usize = 16;

/// Decrypts whole blocks, and removes padding (PKCS#7) of up to `padding` bytes; `None` for what is no such text.
pub fn decrypt_cbc(key: &[u8; 32], iv: &[u8; BLOCK], mut bytes: Vec<u8>, padding: usize) -> Option<Vec<u8>> {
    let length = Decryptor::<Aes256>::new(key.into(), iv.into()).decrypt_padded::<NoPadding>(&mut bytes).ok()?.len();
    bytes.truncate(length);
    let added = usize::from(*bytes.last()?);
    let is_padding = (1..=padding).contains(&added) && bytes.len() >= added && bytes.iter().rev().take(added).all(|byte| usize::from(*byte) == added);
    is_padding.then(|| {
        bytes.truncate(bytes.len() - added);
        bytes
    })
}

#[cfg(test)]
mod tests {
    use cbc::Encryptor;
    use cbc::cipher::BlockModeEncrypt as _;

    use super::*;

    fn encrypt(plain: &[u8]) -> Vec<u8> {
        let mut bytes = plain.to_vec();
        Encryptor::<Aes256>::new(&[1; 32].into(), &[2; 16].into()).encrypt_padded::<NoPadding>(&mut bytes, plain.len()).unwrap();
        bytes
    }

    /// NIST SP 800-38A, F.2.6.
    #[test]
    fn a_block_of_the_standard_is_decrypted() {
        let unhex = |text: &str| -> Vec<u8> { (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect() };
        let key: [u8; 32] = unhex("603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4").try_into().unwrap();
        let iv: [u8; 16] = unhex("000102030405060708090a0b0c0d0e0f").try_into().unwrap();
        let mut block = unhex("f58c4c04d6e5f1ba779eabfb5f7bfbd6");
        let plain = Decryptor::<Aes256>::new(&key.into(), &iv.into()).decrypt_padded::<NoPadding>(&mut block).unwrap();
        assert_eq!(plain, unhex("6bc1bee22e409f96e93d7e117393172a"));
    }

    #[test]
    fn padding_is_removed_and_anything_else_is_refused() {
        let decrypt = |plain: &[u8], padding: usize| decrypt_cbc(&[1; 32], &[2; 16], encrypt(plain), padding);
        let padded = |text: &[u8], added: u8| [text.to_vec(), vec![added; usize::from(added)]].concat();
        assert_eq!(decrypt(&padded(b"hello", 11), 16).as_deref(), Some(b"hello".as_slice()));
        assert_eq!(decrypt(&padded(b"", 16), 16).as_deref(), Some(b"".as_slice()));
        assert_eq!(decrypt(&padded(b"hello, hello", 20), 32).as_deref(), Some(b"hello, hello".as_slice()));
        assert_eq!(decrypt(&padded(b"hello, hello", 20), 16), None, "longer than a block");
        assert_eq!(decrypt(&[7; 16], 16).map(|rest| rest.len()), Some(9));
        for wrong in [[0; 16], [17; 16], *b"0123456789abcde\x02"] {
            assert_eq!(decrypt(&wrong, 16), None, "{wrong:?}");
        }
        for cut in [0, 1, 15, 17] {
            assert_eq!(decrypt_cbc(&[1; 32], &[2; 16], vec![9; cut], 16), None, "{cut}");
        }
    }
}
