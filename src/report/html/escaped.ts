/** Text as it stands in HTML and in XML, inside of an element or of a quoted attribute. */

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
}

/** Control characters, which neither may hold; tab and line feed may stay. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f]/g

export const escaped = (text: string): string =>
  text.replace(CONTROL, "\ufffd").replace(/[&<>"']/g, (character) => entities[character] ?? "")
