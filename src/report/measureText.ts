/** What ablations measure and vary, in words: titles of their figures. */

const measures: Readonly<Record<string, string>> = {
  "grok-step": "Steps until a network groks",
  "gradient-peak": "Peak R̄ of gradients",
  "update-peak": "Peak R̄ of updates",
  "random-logits-peak": "Peak R̄ of gradients of random logits",
  gradient: "R̄ of gradients",
  update: "R̄ of updates",
  "random-logits": "R̄ of gradients of random logits",
  "gradient-over-update": "The gap: R̄ of gradients ÷ R̄ of updates",
  "gradient-over-random-logits": "ρ: R̄ of gradients ÷ R̄ of gradients of random logits",
  "test-accuracy": "Test accuracy at the end",
  speedup: "Speed-up of grokking",
  "norm-ratio": "Norm that the arm leaves the gradient",
}

const variants: Readonly<Record<string, string>> = {
  mean: "mean over training",
  "first-half": "to test accuracy 0.5",
  "first-threshold": "to the stop rule's accuracy, once",
}

const capitalised = (text: string): string => `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`

/** A measure's id, such as `gradient-over-update.mean`, as a phrase. */
export const measureText = (id: string): string => {
  const [name = id, ...rest] = id.split(".")
  const base = measures[name] ?? capitalised(name.replaceAll("-", " "))
  return [base, ...rest.map((one) => variants[one] ?? one.replaceAll("-", " "))].join(", ")
}

/** The last name of a field, such as `train.weightDecay`, as words. */
const fieldText = (field: string): string =>
  (field.split(".").at(-1) ?? field).replace(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)

const blockFields: Readonly<Record<string, string>> = { block: "block of the parameters" }

/** `Peak R̄ of gradients, by weight decay and learning rate`. */
export const comparisonTitle = (id: string, fields: ReadonlyArray<string>): string => {
  const by = fields.map((field) => blockFields[field] ?? fieldText(field))
  return by.length === 0 ? measureText(id) : `${measureText(id)}, by ${by.join(" and ")}`
}
