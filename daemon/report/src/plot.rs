//! What all charts share: the font, the colours, and errors that cannot be.

use std::sync::OnceLock;

use anyhow::{Context, anyhow};
use plotters::style::{FontStyle, RGBColor, register_font};

/// The font's name.
pub const FONT: &str = "sans-serif";
/// Titles and labels.
pub const TEXT: RGBColor = RGBColor(0x24, 0x29, 0x2f);
/// Lines behind.
pub const GRID: RGBColor = RGBColor(0xe1, 0xe4, 0xe8);
/// What is read second.
pub const FAINT: RGBColor = RGBColor(0x6e, 0x77, 0x81);
/// Colours that stay apart for the colour-blind (Okabe and Ito).
pub const BLUE: RGBColor = RGBColor(0x00, 0x72, 0xb2);
/// Likewise.
pub const VERMILION: RGBColor = RGBColor(0xd5, 0x5e, 0x00);
/// Likewise.
pub const GREEN: RGBColor = RGBColor(0x00, 0x9e, 0x73);
/// Likewise.
pub const PURPLE: RGBColor = RGBColor(0xcc, 0x79, 0xa7);

/// The font measures text for both formats and draws it in bitmaps.
///
/// # Errors
/// A font that cannot be read: it comes with the program.
pub fn font() -> anyhow::Result<()> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let bytes = include_bytes!("../fonts/Roboto-Regular-subset.ttf");
    let done = REGISTERED.get_or_init(|| register_font(FONT, FontStyle::Normal, bytes).is_ok());
    done.then_some(()).context("the chart's font cannot be read")
}

/// What kind of error a backend has does not matter: a picture in memory is drawn, or it is a bug.
///
/// # Errors
/// The backend's.
pub fn drawn<T, E: std::error::Error + Send + Sync>(result: Result<T, E>) -> anyhow::Result<T> {
    result.map_err(|fault| anyhow!("drawing the chart: {fault}"))
}

/// Pixels of three bytes each as PNG.
///
/// # Errors
/// Where they are not as many as the size says.
pub fn png(pixels: &[u8], (width, height): (u32, u32)) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().context("encoding the chart")?;
    writer.write_image_data(pixels).context("encoding the chart")?;
    writer.finish().context("encoding the chart")?;
    Ok(bytes)
}

/// A number as short as it can be read.
pub fn number(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{:.1}M", v / 1e6),
        v if v >= 1e4 => format!("{:.0}k", v / 1e3),
        v if v >= 10.0 || v.fract() == 0.0 => format!("{v:.0}"),
        v if (0.0..1.0).contains(&v) => planner::significant(v, 2),
        v => format!("{v:.1}"),
    }
}
