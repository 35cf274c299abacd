// Compares what the Worker answers with what docs/openapi.json says of that operation. As much of JSON Schema as the
// document uses; a keyword it does not know is an error, so that nothing goes unchecked.
import { readFile } from "node:fs/promises";

const document = JSON.parse(await readFile(new URL("../../docs/openapi.json", import.meta.url), "utf8"));
const TEMPLATES = Object.entries(document.paths).map(([path, operations]) => {
  const form = path.replace(/[.]/g, "\\.").replace(/\{user\}/g, "[0-9a-f-]{36}");
  return [new RegExp(`^${form}$`), operations];
});
/** Says nothing about validity. */
const REMARKS = ["description", "default", "examples", "format", "contentMediaType", "title"];

/** What is wrong with an answer, or nothing. Answers of addresses that are not in the document are not judged. */
export function misfits(method, path, answer, text) {
  const [, operations] = TEMPLATES.find(([form]) => form.test(path.split("?")[0])) ?? [];
  const operation = operations?.[method.toLowerCase()];
  if (!operation) return [];
  const where = `${method} ${path}: ${answer.status}`;
  const response = resolve(operation.responses[answer.status]);
  if (!response) return [`${where} is not in the document`];
  const kind = (answer.headers.get("content-type") ?? "").split(";")[0];
  const missing = Object.entries(response.headers ?? {})
    .filter(([name, header]) => header.required && !answer.headers.has(name))
    .map(([name]) => `${where} has no ${name}`);
  if (!response.content) return missing;
  const content = response.content[kind];
  if (!content) return [...missing, `${where} is ${kind || "of no type"}`];
  if (!kind.endsWith("json")) return missing;
  return [...missing, ...judge(content.schema, JSON.parse(text), where)];
}

function resolve(node) {
  if (!node?.$ref) return node;
  return node.$ref.slice(2).split("/").reduce((inner, name) => inner[name], document);
}

function judge(schema, value, at) {
  return Object.entries(schema).flatMap(([keyword, wanted]) => {
    if (REMARKS.includes(keyword)) return [];
    if (!RULES[keyword]) throw new Error(`${at}: the document uses ${keyword}, which is not checked`);
    return RULES[keyword](wanted, value, at, schema);
  });
}

const kindOf = (value) => (value === null ? "null" : Array.isArray(value) ? "array" : Number.isInteger(value) ? "integer" : typeof value);
const unless = (holds, complaint) => (holds ? [] : [complaint]);
const isObject = (value) => kindOf(value) === "object";

const RULES = {
  $ref: (reference, value, at) => judge(resolve({ $ref: reference }), value, at),
  type: (types, value, at) => unless([types].flat().includes(kindOf(value)), `${at} is ${kindOf(value)}, not ${types}`),
  const: (wanted, value, at) => unless(wanted === value, `${at} is ${value}, not ${wanted}`),
  enum: (values, value, at) => unless(values.includes(value), `${at} is ${value}, none of ${values}`),
  minimum: (least, value, at) => unless(typeof value !== "number" || value >= least, `${at} is below ${least}`),
  maximum: (most, value, at) => unless(typeof value !== "number" || value <= most, `${at} is above ${most}`),
  maxLength: (most, value, at) => unless(typeof value !== "string" || value.length <= most, `${at} is longer than ${most}`),
  maxItems: (most, value, at) => unless(!Array.isArray(value) || value.length <= most, `${at} has more than ${most} entries`),
  pattern: (form, value, at) => unless(typeof value !== "string" || new RegExp(form, "u").test(value), `${at} is not of the form ${form}`),
  required: (names, value, at) => names.filter((name) => isObject(value) && !(name in value)).map((name) => `${at} has no ${name}`),
  // A field nobody described is a mistake, in what is answered more than anywhere.
  properties: (fields, value, at, schema) =>
    Object.entries(isObject(value) ? value : {}).flatMap(([name, inner]) => {
      if (fields[name]) return judge(fields[name], inner, `${at}.${name}`);
      return schema.type === "object" ? [`${at}.${name} is not in the document`] : [];
    }),
  additionalProperties: () => [],
  items: (each, value, at) => (Array.isArray(value) ? value.flatMap((inner, index) => judge(each, inner, `${at}[${index}]`)) : []),
  allOf: (all, value, at) => all.flatMap((one) => judge(one, value, at)),
  oneOf: (some, value, at) => {
    const verdicts = some.map((one) => judge(one, value, at));
    const fit = verdicts.filter((verdict) => verdict.length === 0).length;
    return unless(fit === 1, `${at} fits ${fit} of what it may be: ${verdicts.flat().join("; ")}`);
  },
};
