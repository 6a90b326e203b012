/**
 * SVG to PNG with resvg and a font of our own (Inter, SIL Open Font License 1.1), so that a machine without fonts
 * draws the same picture.
 */
import { createRequire } from "node:module"
import { Resvg } from "@resvg/resvg-js"

const require = createRequire(import.meta.url)

const fontFiles = ["400Regular/Inter_400Regular.ttf", "600SemiBold/Inter_600SemiBold.ttf"].map((file) =>
  require.resolve(`@expo-google-fonts/inter/${file}`),
)

/** What resvg needs to lay out a figure's text. */
export const font = {
  loadSystemFonts: false,
  fontFiles,
  defaultFontFamily: "Inter",
  sansSerifFamily: "Inter",
}

/** The bytes of a PNG on white, `zoom` pixels for one of the SVG. */
export const renderPng = (svg: string, zoom = 2): Uint8Array =>
  new Resvg(svg, { font, background: "white", fitTo: { mode: "zoom", value: zoom } }).render().asPng()
