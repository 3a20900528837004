// The routes of openapi.json, without anything from elsewhere.

const api = await (await fetch("openapi.json")).json();
const element = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });
const named = (ref) => ref.split("/").pop();

function typed(schema) {
  if (schema.$ref) return named(schema.$ref);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.anyOf ?? schema.oneOf) return (schema.anyOf ?? schema.oneOf).map(typed).join(" | ");
  if (schema.type === "array") {
    const { prefixItems: fixed, items = {} } = schema;
    return `[${fixed ? fixed.map(typed).join(", ") : `${typed(items)}, …`}]`;
  }
  return schema.type ?? "any";
}

const rows = [];
for (const [path, methods] of Object.entries(api.paths)) {
  for (const [method, { description, parameters = [], requestBody }] of Object.entries(methods)) {
    rows.push(element("h2", `${method.toUpperCase()} ${path}`), element("p", description ?? ""));
    const lines = parameters.map(({ name, schema }) => `${name}: ${typed(schema)}`);
    const body = requestBody?.content["application/json"]?.schema;
    if (body) lines.push(`body: ${typed(body)}`);
    if (lines.length) rows.push(element("pre", lines.join("\n")));
  }
}
rows.push(element("h1", "Bodies"));
for (const [name, { description, properties = {}, required = [] }] of Object.entries(api.components.schemas)) {
  const optional = (key) => (required.includes(key) ? "" : "?");
  const lines = Object.entries(properties).map(([key, schema]) => `${key}${optional(key)}: ${typed(schema)}`);
  rows.push(element("h2", name), element("p", description ?? ""), element("pre", lines.join("\n")));
}
document.getElementById("routes").append(...rows);
