// Checks the dashboards as Grafana 10, 11 and 12 publish their types (@grafana/schema), and every
// PromQL expression of dashboards and alerts with Prometheus' own grammar for editors.
//
//     npm ci && node check.mjs
//
// A dashboard is checked as what it is: JSON. Keys that do not exist, wrong types and values that
// an enum does not have are errors; each panel's options and custom field options are checked
// against its plugin's own types.
import {execFileSync} from 'node:child_process';
import {readdirSync, readFileSync} from 'node:fs';
import {dirname, join, resolve} from 'node:path';
import {fileURLToPath} from 'node:url';

import {parser} from '@prometheus-io/lezer-promql';
import ts from 'typescript';

const HERE = dirname(fileURLToPath(import.meta.url));
const DASHBOARDS = resolve(HERE, '../../../../charts/rproxy/dashboards');
// Where each version keeps the types of a dashboard and of a panel plugin.
const VERSIONS = {
    10: {index: 'dist/index.d.ts', panel: (dir, name) => `dist/esm/raw/composable/${dir}/panelcfg/x/${name}PanelCfg_types.gen.d.ts`},
    11: {index: 'dist/esm/index.d.mts', panel: (dir, name) => `dist/esm/raw/composable/${dir}/panelcfg/x/${name}PanelCfg_types.gen.d.ts`},
    12: {index: 'dist/types/index.d.ts', panel: (dir) => `dist/types/raw/composable/${dir}/panelcfg/x/types.gen.d.ts`},
};
// Of each plugin that we use: its folder, its name, and whether it has custom field options.
const PLUGINS = {
    'heatmap': ['heatmap', 'Heatmap', true],
    'stat': ['stat', 'Stat', false],
    'state-timeline': ['statetimeline', 'StateTimeline', true],
    'table': ['table', 'Table', false],
    'timeseries': ['timeseries', 'TimeSeries', true],
};
// Written for a later version than the one checked, which ignores them: pagination of a state
// timeline and the wide layout of a stat came with 11 and 10.4.
const LATER = {10: ['perPage'], 11: [], 12: []};
// What the Prometheus data source keeps in annotations and variables, outside of their types.
const OF_DATASOURCE = ['expr', 'step', 'titleFormat', 'textFormat', 'useValueForTime', 'definition'];

function dashboards() {
    return readdirSync(DASHBOARDS).filter((name) => name.endsWith('.json')).sort()
        .map((name) => [name, JSON.parse(readFileSync(join(DASHBOARDS, name), 'utf8'))]);
}

/// The source of a module that assigns every part of the dashboards to its type.
function source(version) {
    // An enum's value is not its name in JSON: "line" is no GraphDrawStyle to TypeScript.
    const lines = [
        `type Json<T> = T extends string ? \`\${T}\` : T extends number ? number : T extends boolean ? T`,
        `    : T extends (infer U)[] ? Json<U>[] : T extends object ? {[K in keyof T]: Json<T[K]>} : T;`,
        `import type {Dashboard, Panel, RowPanel, TableFieldOptions} from '@grafana/schema';`,
    ];
    for (const [type, [dir, name]] of Object.entries(PLUGINS)) {
        lines.push(`import type * as ${name} from './node_modules/grafana-schema-${version}/` +
            `${VERSIONS[version].panel(dir, name).replace(/\.d\.ts$/, '')}'; // ${type}`);
    }
    let count = 0;
    const check = (type, value, where, without = []) => {
        const leftOut = [...LATER[version], ...without];
        const kept = JSON.stringify(value, (key, inner) => leftOut.includes(key) ? undefined : inner);
        lines.push(`// ${where}`, `export const c${count++}: Json<${type}> = ${kept};`);
    };
    for (const [file, board] of dashboards()) {
        const {panels, ...rest} = board;
        check('Omit<Dashboard, "panels">', rest, file, OF_DATASOURCE);
        for (const panel of panels) {
            const where = `${file}: ${panel.title}`;
            if (panel.type === 'row') {
                check('RowPanel', panel, where);
                continue;
            }
            const plugin = PLUGINS[panel.type];
            if (!plugin) {
                throw new Error(`${where}: check.mjs does not know panels of type ${panel.type}`);
            }
            check('Panel', panel, where);
            check(`Partial<${plugin[1]}.Options>`, panel.options, `${where}: options`);
            const custom = panel.fieldConfig.defaults.custom ?? {};
            const customType = panel.type === 'table' ? 'Partial<TableFieldOptions>'
                : plugin[2] ? `Partial<${plugin[1]}.FieldConfig>` : 'Record<string, never>';
            check(customType, custom, `${where}: custom field options`);
        }
    }
    return lines.join('\n') + '\n';
}

function typeProblems(version) {
    const virtual = join(HERE, `check-${version}.ts`);
    const text = source(version);
    const options = {
        strict: true, noEmit: true, skipLibCheck: true, target: ts.ScriptTarget.ES2022,
        module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler,
        allowImportingTsExtensions: true, types: [],
        paths: {'@grafana/schema': [join(HERE, `node_modules/grafana-schema-${version}/${VERSIONS[version].index}`)]},
    };
    const host = ts.createCompilerHost(options);
    const {fileExists, readFile} = host;
    host.fileExists = (name) => name === virtual || fileExists(name);
    host.readFile = (name) => name === virtual ? text : readFile(name);
    const getSourceFile = host.getSourceFile.bind(host);
    host.getSourceFile = (name, ...more) =>
        name === virtual ? ts.createSourceFile(name, text, ts.ScriptTarget.ES2022) : getSourceFile(name, ...more);
    const program = ts.createProgram([virtual], options, host);
    const lines = text.split('\n');
    return ts.getPreEmitDiagnostics(program).map((found) => {
        const what = ts.flattenDiagnosticMessageText(found.messageText, ' ');
        if (!found.file) {
            return `Grafana ${version}: ${what}`;
        }
        const {line} = found.file.getLineAndCharacterOfPosition(found.start);
        return `Grafana ${version}: ${(lines[line - 1] ?? '').replace('// ', '')}: ${what}`;
    });
}

/// As Grafana would fill it in before it sends the query.
function promql({kind, expr}) {
    const filled = expr.replaceAll('$__rate_interval', '5m').replaceAll('$__range', '1h');
    const variable = /^label_values\((?:(.*), )?(\w+)\)$/s.exec(filled);
    return kind === 'variable' ? variable[1] : filled;
}

function grammarProblems() {
    const list = JSON.parse(execFileSync('python3', [resolve(HERE, '../references.py'), '--expressions']));
    const problems = [];
    for (const each of list) {
        const expr = promql(each);
        parser.parse(expr).iterate({enter: (node) => {
            if (node.type.isError) {
                problems.push(`${each.file}: ${each.title}: not PromQL at "${expr.slice(node.from, node.from + 20)}"`);
            }
        }});
    }
    return [list.length, problems];
}

const [count, problems] = grammarProblems();
for (const version of Object.keys(VERSIONS)) {
    problems.push(...typeProblems(version));
}
for (const problem of problems) {
    console.error(problem);
}
if (problems.length === 0) {
    console.log(`${count} expressions and ${dashboards().length} dashboards are valid for Grafana ${Object.keys(VERSIONS).join(', ')}.`);
}
process.exit(problems.length === 0 ? 0 : 1);
