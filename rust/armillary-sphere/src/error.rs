//! What can be wrong with a region or a pixel index.

/// Why bytes, text or numbers are no region, or a number is no pixel.
#[derive(Clone, Debug, PartialEq)]
pub enum SphereError {
    /// The first byte names no type of region (`None`: there are no bytes).
    UnknownType {
        /// The first byte.
        tag: Option<u8>,
    },
    /// The number of bytes does not fit the type of region.
    WrongLength {
        /// The type of region.
        region: &'static str,
        /// Bytes found, the type's tag included.
        found: usize,
        /// What the length has to be.
        wanted: &'static str,
    },
    /// A coordinate is NaN or infinite where the type of region needs a number.
    NotFinite {
        /// The type of region.
        region: &'static str,
    },
    /// A direction of the region is no vector of length one.
    NotUnit {
        /// The type of region.
        region: &'static str,
        /// The length found.
        length: f64,
    },
    /// Regions of regions are nested too deeply to be real.
    TooDeep {
        /// The deepest nesting that is read.
        limit: usize,
    },
    /// A longitude interval runs backwards and has an end outside of 0 to 2π.
    Longitudes {
        /// First longitude, radians.
        from: f64,
        /// Last longitude, radians.
        to: f64,
    },
    /// A vector is too short to have a direction.
    NoDirection,
    /// Points span no convex polygon.
    NoPolygon {
        /// What is wrong with them.
        reason: &'static str,
    },
    /// A text is no SIA `POS` value.
    NotPos {
        /// The text.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A pixelization has no such level.
    NoSuchLevel {
        /// `htm` or `healpix`.
        system: &'static str,
        /// The level asked for.
        level: u32,
        /// The deepest level there is.
        deepest: u32,
    },
    /// A number is not the index of a pixel.
    NoSuchPixel {
        /// `htm` or `healpix`.
        system: &'static str,
        /// The number.
        index: u64,
    },
    /// No pixelization has this name.
    UnknownSystem {
        /// The name.
        name: String,
    },
}

impl std::fmt::Display for SphereError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownType { tag: None } => f.write_str("an encoded region has at least one byte, found none"),
            Self::UnknownType { tag: Some(tag) } => {
                write!(f, "no region is encoded with the first byte `{}`", tag.escape_ascii())?;
                f.write_str("; known are `b`, `c`, `e`, `p`, `u` and `i`")
            }
            Self::WrongLength { region, found, wanted } => {
                write!(f, "an encoded {region} has {wanted} bytes, found {found}")
            }
            Self::NotFinite { region } => write!(f, "a coordinate of an encoded {region} is not a finite number"),
            Self::NotUnit { region, length } => {
                write!(f, "a direction of an encoded {region} is a vector of length `{length}`, not 1")
            }
            Self::TooDeep { limit } => write!(f, "an encoded region nests more than {limit} regions in each other"),
            Self::Longitudes { from, to } => {
                write!(f, "no longitude interval runs from `{from}` to `{to}` radians")?;
                f.write_str("; where the first is greater, both must be within 0 and 2π")
            }
            Self::NoDirection => f.write_str("a vector of length zero has no direction"),
            Self::NoPolygon { reason } => write!(f, "the points span no convex polygon: {reason}"),
            Self::NotPos { text, reason } => {
                write!(f, "`{text}` is no SIA region: {reason}")?;
                f.write_str("; write `CIRCLE lon lat radius`, `RANGE lon1 lon2 lat1 lat2` or `POLYGON lon lat ...`")
            }
            Self::NoSuchLevel { system, level, deepest } => {
                write!(f, "{system} has levels up to {deepest}, not `{level}`")
            }
            Self::NoSuchPixel { system, index } => write!(f, "`{index}` is not the index of a {system} pixel"),
            Self::UnknownSystem { name } => {
                write!(f, "no pixelization is called `{name}`; known are `htm` and `healpix`")
            }
        }
    }
}

impl std::error::Error for SphereError {}
