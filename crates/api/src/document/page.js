"use strict";

// Everything is built from nodes and texts: nothing of the document is ever read as markup.
const element = (name, attributes = {}, ...children) => {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value == null) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child != null));
  return node;
};

/** A text whose parts between backticks are code. */
const prose = (text) =>
  text.split("`").map((part, index) => (index % 2 ? element("code", {}, part) : part));
const paragraphs = (text, attributes) =>
  (text ?? "").split("\n\n").filter(Boolean).map((part) => element("p", attributes, prose(part)));

let api;

/** A schema without its references, and of several that hold at once all members. */
function resolve(schema) {
  const path = schema?.$ref?.split("/").slice(1);
  if (path) return resolve(path.reduce((at, key) => at[key], api));
  if (!schema?.allOf) return schema ?? {};
  const parts = schema.allOf.map(resolve);
  return {
    ...schema,
    type: "object",
    properties: Object.assign({}, ...parts.map((part) => part.properties)),
    required: parts.flatMap((part) => part.required ?? []),
  };
}

/** What a schema takes, in a few words. */
function kind(schema) {
  const name = schema?.$ref?.split("/").pop();
  const { type, format, enum: values, items, oneOf, additionalProperties } = resolve(schema);
  const choices = oneOf?.filter((choice) => choice.type !== "null");
  if (choices?.length) return choices.map(kind).join(" or ") + (choices.length < oneOf.length ? " or null" : "");
  if (values) return values.map((value) => JSON.stringify(value)).join(" | ");
  if (items) return `list of ${kind(items)}`;
  if (name) return name;
  if (additionalProperties?.type) return `map to ${kind(additionalProperties)}`;
  const types = [type ?? "any"].flat().join(" or ");
  return format && !format.startsWith("int") ? `${types} (${format})` : types;
}

function bounds(schema) {
  const { minimum, maximum, minLength, maxLength, maxItems, maxProperties, pattern } = resolve(schema);
  const range = (least, most, unit) =>
    least != null && most != null ? `${least} to ${most}${unit}`
    : most != null ? `at most ${most}${unit}`
    : least != null ? `at least ${least}${unit}`
    : null;
  return [
    range(minimum, maximum, ""),
    range(minLength, maxLength, " characters"),
    range(null, maxItems, " items"),
    range(null, maxProperties, " members"),
    pattern && `matches ${pattern}`,
  ].filter(Boolean).join(", ");
}

function example(schema, depth = 0) {
  const whole = resolve(schema);
  if (whole.example !== undefined) return whole.example;
  if (whole.examples?.length) return whole.examples[0];
  if (whole.default !== undefined) return whole.default;
  if (whole.enum) return whole.enum[0];
  if (whole.oneOf) return example(whole.oneOf.find((choice) => choice.type !== "null"), depth);
  if (whole.items) return depth > 4 ? [] : [example(whole.items, depth + 1)];
  if (whole.properties) {
    return Object.fromEntries(
      Object.entries(whole.properties).map(([key, value]) => [key, depth > 4 ? null : example(value, depth + 1)]),
    );
  }
  const type = [whole.type].flat()[0];
  return { string: "…", integer: 0, number: 0, boolean: true, object: {} }[type] ?? null;
}

function row(name, schema, required, description) {
  const limits = bounds(schema);
  return element("tr", {},
    element("td", {}, element("span", { class: required && "required" }, name)),
    element("td", {},
      element("span", { class: "type" }, kind(schema) + (limits && `, ${limits}`)),
      description && element("div", { class: "note" }, prose(description))),
  );
}

/** The members of an object, those of the objects in it behind them. */
function members(schema, prefix = "", depth = 0) {
  const { properties = {}, required = [] } = resolve(schema);
  return Object.entries(properties).flatMap(([name, member]) => {
    const whole = resolve(member);
    const inner = whole.items ? [whole.items, "[]."] : [member, "."];
    const nested = depth < 3 ? members(inner[0], prefix + name + inner[1], depth + 1) : [];
    return [row(prefix + name, member, required.includes(name), whole.description), ...nested];
  });
}

function content(body) {
  return Object.entries(body?.content ?? {}).map(([type, { schema }]) => {
    if (!type.endsWith("json")) return element("p", { class: "type" }, type);
    const rows = members(schema);
    const shown = element("pre", {}, JSON.stringify(example(schema), null, 2));
    return element("div", { class: "halves" },
      element("div", {}, element("div", { class: "type" }, type), rows.length ? element("table", {}, rows) : null), shown);
  });
}

function response(status, answer) {
  const headers = Object.entries(answer.headers ?? {});
  const table = headers.length
    && element("table", {}, headers.map(([name, { schema, description }]) => row(name, schema, false, description)));
  const fine = status < 400;
  return element("details", { class: `status ${fine ? "ok" : "fault"}`, open: fine && answer.content != null },
    element("summary", {}, element("b", {}, status), element("span", { class: "note" }, prose(answer.description))),
    element("div", {}, table || null, content(answer)),
  );
}

/** What a request needs, as the document says it; only a hint, since a cookie comes along by itself. */
function needs(security) {
  const names = (security ?? []).flatMap(Object.keys);
  return names.length ? element("span", { class: "needs" }, names.join(" or ")) : null;
}

function attempt(path, method, operation) {
  const parameters = (operation.parameters ?? []).map((parameter) => ({
    ...parameter,
    input: element("input", { value: parameter.required ? (parameter.example ?? "") : "", spellcheck: "false" }),
  }));
  const schema = operation.requestBody?.content["application/json"]?.schema;
  const body = schema && element("textarea", { spellcheck: "false" });
  if (body) body.value = JSON.stringify(example(schema), null, 2);
  const answer = element("div");
  const send = async ({ target }) => {
    target.disabled = true;
    let url = path;
    const query = new URLSearchParams();
    for (const { name, in: place, input } of parameters) {
      if (place === "path") url = url.replace(`{${name}}`, encodeURIComponent(input.value));
      else if (place === "query" && input.value) query.set(name, input.value);
    }
    if (query.size) url += `?${query}`;
    const headers = {};
    for (const { name, in: place, input } of parameters) if (place === "header" && input.value) headers[name] = input.value;
    const token = document.getElementById("token").value.trim();
    if (token) headers.Authorization = `Bearer ${token}`;
    if (body) headers["Content-Type"] = "application/json";
    try {
      const response = await fetch(url, { method: method.toUpperCase(), headers, body: body?.value });
      let text = await response.text();
      try {
        const json = JSON.parse(text);
        if (json.token) document.getElementById("token").value = json.token;
        text = JSON.stringify(json, null, 2);
      } catch { /* Not all answers are JSON. */ }
      const replica = response.headers.get("x-phalanx-instance");
      answer.replaceChildren(
        element("p", { class: response.ok ? "ok" : "fault" },
          element("b", {}, `${response.status} ${response.statusText}`), replica ? ` from ${replica}` : ""),
        element("pre", {}, text || "(no body)"));
    } catch (error) {
      answer.replaceChildren(element("p", { class: "fault" }, element("b", {}, String(error))));
    }
    target.disabled = false;
  };
  const label = (name, input) => element("label", {}, name, input);
  return element("details", { class: "try" },
    element("summary", {}, "Try it"),
    element("div", {},
      parameters.map(({ name, input }) => label(name, input)), body && label("body", body),
      element("button", { type: "button", onclick: send }, "Send"), answer));
}

function article(path, method, operation) {
  const parameters = operation.parameters ?? [];
  return element("article", { id: operation.operationId },
    element("h3", {},
      element("span", { class: `method ${method}` }, method.toUpperCase()), element("span", {}, path), needs(operation.security)),
    paragraphs(operation.summary), paragraphs(operation.description, { class: "note" }),
    parameters.length ? [element("h4", {}, "Parameters"), element("table", {},
      parameters.map(({ name, schema, required, description }) => row(name, schema, required, description)))] : [],
    operation.requestBody ? [element("h4", {}, "Body"), ...content(operation.requestBody)] : [],
    element("h4", {}, "Answers"),
    Object.entries(operation.responses).map(([status, answer]) => response(status, answer)),
    operation.responses["101"] ? null : attempt(path, method, operation));
}

function show() {
  document.title = api.info.title;
  document.getElementById("title").textContent = api.info.title;
  document.getElementById("version").textContent = api.info.version;
  const operations = Object.entries(api.paths).flatMap(([path, item]) =>
    Object.entries(item).filter(([, operation]) => operation.responses).map(([method, operation]) => ({ path, method, operation })));
  const contents = [];
  const main = paragraphs(api.info.description, { class: "intro" });
  for (const tag of api.tags) {
    const of_tag = operations.filter(({ operation }) => operation.tags?.includes(tag.name));
    if (!of_tag.length) continue;
    contents.push(element("h2", {}, tag.name), ...of_tag.map(({ path, method, operation }) =>
      element("a", { href: `#${operation.operationId}` }, element("span", { class: `method ${method}` }, method.toUpperCase()), path)));
    main.push(element("section", { class: "tag" }, element("h2", {}, tag.name), element("p", {}, tag.description)),
      ...of_tag.map(({ path, method, operation }) => article(path, method, operation)));
  }
  document.getElementById("contents").replaceChildren(...contents);
  document.getElementById("main").replaceChildren(...main);
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

fetch("/openapi.json")
  .then((answer) => (answer.ok ? answer.json() : Promise.reject(new Error(`${answer.status} ${answer.statusText}`))))
  .then((document) => { api = document; show(); })
  .catch((error) => document.getElementById("main").replaceChildren(element("p", {}, `Cannot read /openapi.json: ${error.message}`)));
