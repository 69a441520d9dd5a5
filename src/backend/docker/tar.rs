//! Archives, as the engine takes them: one file for a container, or all that an image is made of.

/// Archives are written in blocks of this many bytes.
const BLOCK: usize = 512;
/// The longest path that fits the header's own field.
const LONGEST: usize = 99;

/// Something in an archive; paths are relative to its root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry<'a> {
    /// A file, and whether it is a program.
    File { path: &'a str, program: bool, content: &'a [u8] },
    /// A symbolic link.
    Link { path: &'a str, to: &'a str },
    /// A folder, and whether everybody may write in it.
    Folder { path: &'a str, shared: bool },
}

/// A POSIX archive of one file that everybody may read.
pub fn one_file(name: &str, content: &[u8]) -> Vec<u8> {
    archive(&[Entry::File { path: name, program: false, content }])
}

/// A POSIX archive; everything in it is root's, and everybody may read it.
pub fn archive(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    for entry in entries {
        let (path, mode, kind, to, content): (_, _, _, _, &[u8]) = match entry {
            Entry::File { path, program, content } => {
                (path, if *program { b"0000755\0" } else { b"0000644\0" }, b"0", "", content)
            }
            Entry::Link { path, to } => (path, b"0000777\0", b"2", *to, &[]),
            Entry::Folder { path, shared } => (path, if *shared { b"0001777\0" } else { b"0000755\0" }, b"5", "", &[]),
        };
        let mut header = [0u8; BLOCK];
        let mut put = |at: usize, bytes: &[u8]| {
            for (place, byte) in header.iter_mut().skip(at).zip(bytes) {
                *place = *byte;
            }
        };
        put(0, path.as_bytes().get(..path.len().min(LONGEST)).unwrap_or_default());
        put(100, mode);
        put(108, b"0000000\0");
        put(116, b"0000000\0");
        put(124, format!("{:011o}\0", content.len()).as_bytes());
        put(136, b"00000000000\0");
        // The checksum is counted as if it were spaces.
        put(148, b"        ");
        put(156, kind);
        put(157, to.as_bytes().get(..to.len().min(LONGEST)).unwrap_or_default());
        put(257, b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        for (place, byte) in header.iter_mut().skip(148).zip(format!("{sum:06o}\0 ").bytes()) {
            *place = byte;
        }
        out.extend_from_slice(&header);
        out.extend_from_slice(content);
        out.resize(out.len().next_multiple_of(BLOCK), 0);
    }
    out.resize(out.len() + 2 * BLOCK, 0);
    out
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

    #[test]
    fn what_an_image_is_made_of_is_told_apart() {
        let archive = archive(&[
            Entry::Folder { path: "tmp", shared: true },
            Entry::File { path: "bin/busybox", program: true, content: &[1; 513] },
            Entry::Link { path: "bin/sh", to: "busybox" },
        ]);
        // A header each, the file's two blocks, and the end.
        assert_eq!(archive.len(), (3 + 2 + 2) * BLOCK);
        let (file, link) = (BLOCK, 4 * BLOCK);
        assert_eq!((archive[156], &archive[100..107]), (b'5', &b"0001777"[..]));
        assert_eq!((archive[file + 156], &archive[file + 100..file + 107]), (b'0', &b"0000755"[..]));
        assert_eq!((archive[link + 156], &archive[link + 157..link + 164]), (b'2', &b"busybox"[..]));
    }
}
