//! An archive of one file, as the engine takes them.

/// Archives are written in blocks of this many bytes.
const BLOCK: usize = 512;

/// A POSIX archive of one file that everybody may read.
pub fn one_file(name: &str, content: &[u8]) -> Vec<u8> {
    let mut header = [0u8; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| {
        for (place, byte) in header.iter_mut().skip(at).zip(bytes) {
            *place = *byte;
        }
    };
    let name: Vec<u8> = name.bytes().take(99).collect();
    put(0, &name);
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", content.len()).as_bytes());
    put(136, b"00000000000\0");
    // The checksum is counted as if it were spaces.
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    for (place, byte) in header.iter_mut().skip(148).zip(format!("{sum:06o}\0 ").bytes()) {
        *place = byte;
    }
    let mut archive = header.to_vec();
    archive.extend_from_slice(content);
    archive.resize(archive.len().next_multiple_of(BLOCK) + 2 * BLOCK, 0);
    archive
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_whole_blocks_with_a_true_checksum() {
        let archive = one_file("Caddyfile", b"respond ok\n");
        assert_eq!(archive.len(), 4 * BLOCK);
        assert_eq!(&archive[BLOCK..BLOCK + 10], b"respond ok");
        let said = std::str::from_utf8(&archive[148..154]).map(|text| u32::from_str_radix(text, 8));
        let sum = archive[..BLOCK].iter().enumerate().map(|(at, byte)| match at {
            148..156 => u32::from(b' '),
            _ => u32::from(*byte),
        });
        assert_eq!(said, Ok(Ok(sum.sum())));
    }
}
