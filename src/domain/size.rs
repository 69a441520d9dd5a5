//! Amounts of memory and disk, written as admins write them: `4G`, `512M`, `1.5T`.
//!
//! Units are binary, as Proxmox's are: `4G` is 4 GiB.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// A number of bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Size(pub u64);

const UNITS: [(&str, u64); 5] = [("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20), ("K", 1 << 10), ("", 1)];

impl Size {
    pub const fn mib(n: u64) -> Self {
        Self(n << 20)
    }

    pub const fn gib(n: u64) -> Self {
        Self(n << 30)
    }

    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// Whole MiB, rounded down: the unit of Proxmox's `memory`.
    pub const fn in_mib(self) -> u64 {
        self.0 >> 20
    }

    /// For people: `2 GiB`, `3.1 GiB`, `512 MiB`.
    pub fn human(self) -> String {
        let (unit, name) = match self.0 {
            n if n >= 1 << 40 => (1u64 << 40, "TiB"),
            n if n >= 1 << 30 => (1 << 30, "GiB"),
            n if n >= 1 << 20 => (1 << 20, "MiB"),
            _ => (1 << 10, "KiB"),
        };
        let value = self.0 as f64 / unit as f64;
        if (value - value.round()).abs() < 0.05 { format!("{value:.0} {name}") } else { format!("{value:.1} {name}") }
    }
}

impl FromStr for Size {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("size {text:?} must be a number with K, M, G or T, such as \"4G\"");
        let upper = text.trim().to_ascii_uppercase();
        let upper = upper.strip_suffix("IB").or_else(|| upper.strip_suffix('B')).unwrap_or(&upper);
        let (number, unit) = UNITS
            .iter()
            .find_map(|(suffix, unit)| upper.strip_suffix(suffix).map(|rest| (rest.trim_end(), *unit)))
            .ok_or_else(wrong)?;
        let value: f64 = number.parse().map_err(|_| wrong())?;
        let bytes = value * unit as f64;
        if !bytes.is_finite() || bytes < 0.0 || bytes > u64::MAX as f64 / 2.0 {
            return Err(wrong());
        }
        Ok(Self(bytes as u64))
    }
}

impl TryFrom<String> for Size {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Size {
    /// The shortest exact writing: `4G`, `512M`, `1000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (suffix, unit) =
            UNITS.iter().find(|(_, unit)| self.0 >= *unit && self.0.is_multiple_of(*unit)).unwrap_or(&("", 1));
        write!(f, "{}{suffix}", self.0 / unit)
    }
}

impl From<Size> for String {
    fn from(size: Size) -> String {
        size.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_binary_and_come_back_as_written() {
        assert_eq!("4G".parse(), Ok(Size::gib(4)));
        assert_eq!("512MiB".parse(), Ok(Size::mib(512)));
        assert_eq!("1.5G".parse(), Ok(Size::mib(1536)));
        for text in ["4G", "512M", "3T", "1000"] {
            assert_eq!(text.parse::<Size>().map(|s| s.to_string()), Ok(text.to_owned()));
        }
        assert!("lots".parse::<Size>().is_err());
        assert!("-1G".parse::<Size>().is_err());
    }

    #[test]
    fn people_read_at_most_one_decimal() {
        assert_eq!(Size::gib(8).human(), "8 GiB");
        assert_eq!(Size(3_328_599_654).human(), "3.1 GiB");
    }
}
