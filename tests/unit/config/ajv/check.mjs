// Proves that the JSON Schema and the parser agree: node check.mjs SCHEMA REPOSITORY.
// Good files, their canonical forms and the examples of the documentation must pass; a bad file must
// fail unless its first line says that the schema accepts it (it looks at one value at a time) or is
// not asked (the file is not YAML).
import fs from "node:fs";
import path from "node:path";
import Ajv2020 from "ajv/dist/2020.js";
import YAML from "yaml";

const [schemaFile, root] = process.argv.slice(2);
const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, strictRequired: false, strictTypes: false });
const validate = ajv.compile(JSON.parse(fs.readFileSync(schemaFile, "utf8")));
let checked = 0;
let wrong = 0;

function expect(name, text, valid) {
  checked += 1;
  const accepted = validate(YAML.parse(text, { merge: true }));
  if (accepted !== valid) {
    wrong += 1;
    console.error(`${name}: the schema ${accepted ? "accepts" : "refuses"} it`);
    for (const error of accepted ? [] : validate.errors) {
      console.error(`  ${error.instancePath || "/"} ${error.message} ${JSON.stringify(error.params)}`);
    }
  }
}

function filesIn(folder, extensions) {
  const all = path.join(root, "tests/testdata/config", folder);
  return fs.readdirSync(all).filter((name) => extensions.includes(path.extname(name)))
    .sort().map((name) => path.join(all, name));
}

for (const file of filesIn("good", [".yaml", ".canonical"])) {
  expect(file, fs.readFileSync(file, "utf8"), true);
}
for (const file of filesIn("bad", [".yaml"])) {
  const text = fs.readFileSync(file, "utf8");
  const verdict = /^# schema: (rejects|accepts|is not asked)/.exec(text);
  if (!verdict) {
    wrong += 1;
    console.error(`${file}: the first line must say '# schema: rejects', 'accepts' or 'is not asked'`);
  } else if (verdict[1] !== "is not asked") {
    expect(file, text, verdict[1] === "accepts");
  }
}
const reference = fs.readFileSync(path.join(root, "docs/configuration.md"), "utf8");
for (const [index, block] of [...reference.matchAll(/^```yaml\n(.*?)^```$/gms)].entries()) {
  expect(`docs/configuration.md, block ${index + 1}`, block[1], true);
}

console.log(`${checked} files against the schema, ${wrong} wrong`);
process.exit(wrong === 0 && checked > 0 ? 0 : 1);
