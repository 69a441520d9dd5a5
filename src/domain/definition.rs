//! Definitions: what a lab should be, after parsing and checking.

use serde::{Deserialize, Serialize};

use super::{LabName, SiteName, class::ClassDefinition, workshop::WorkshopDefinition};

/// What a lab should be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
#[expect(clippy::large_enum_variant, reason = "there are few, and most are classes")]
pub enum Definition {
    Class(ClassDefinition),
    Workshop(WorkshopDefinition),
}

impl Definition {
    pub fn name(&self) -> &LabName {
        match self {
            Self::Class(class) => &class.name,
            Self::Workshop(workshop) => &workshop.name,
        }
    }

    pub fn site(&self) -> &SiteName {
        match self {
            Self::Class(class) => &class.site,
            Self::Workshop(workshop) => &workshop.site,
        }
    }

    /// `class` or `workshop`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Class(_) => "class",
            Self::Workshop(_) => "workshop",
        }
    }
}
