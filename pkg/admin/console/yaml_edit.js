// Small edits of the text of a configuration: one entry of one `backends:` list is touched, every
// other byte, comment and blank line stays. It understands the usual ways to write the list and
// says so when it meets another: then the person edits the text. It never guesses: after an edit the
// list is read again and must hold exactly what was wanted.

export class EditError extends Error {}

const BY_HAND = 'edit the text below by hand';

/**
 * What the text says of a pool's backends: [{address, name, weight, state}], each with defaults
 * filled in. Throws EditError when the list is written in a way that is not understood.
 */
export function listBackends(text, pool) {
    return locate(new Lines(text), pool).items.map(describe);
}

export function addBackend(text, pool, fields) {
    const expected = [...listOrEmpty(text, pool), describe(fields)];
    const lines = new Lines(text);
    const found = locateOrCreate(lines, pool);
    insert(lines, found, fields);
    return verified(lines, pool, expected);
}

export function removeBackend(text, pool, backend) {
    const lines = new Lines(text);
    const found = locate(lines, pool);
    const index = indexOf(found.items, backend);
    const expected = found.items.filter((_, i) => i !== index).map(describe);
    remove(lines, found, index);
    return verified(lines, pool, expected);
}

/** Sets `weight` or `state` of one backend; a null takes the key away, which means its default. */
export function setBackendField(text, pool, backend, key, value) {
    const lines = new Lines(text);
    const found = locate(lines, pool);
    const index = indexOf(found.items, backend);
    const expected = found.items.map((item, i) =>
        describe(i === index ? {...item.fields, [key]: value ?? undefined} : item.fields));
    change(lines, found, index, key, value);
    return verified(lines, pool, expected);
}

function listOrEmpty(text, pool) {
    return findKey(new Lines(text), pool) ? listBackends(text, pool) : [];
}

function describe(itemOrFields) {
    const fields = itemOrFields.fields ?? itemOrFields;
    return {
        address: String(fields.address ?? ''),
        name: String(fields.name ?? fields.address ?? ''),
        weight: Number(fields.weight ?? 1),
        state: String(fields.state ?? 'up'),
    };
}

function verified(lines, pool, expected) {
    const text = lines.join();
    const got = listBackends(text, pool);
    if (JSON.stringify(got) !== JSON.stringify(expected)) {
        throw new EditError(`this list is written in a way that is not safe to change here; ${BY_HAND}`);
    }
    return text;
}

function indexOf(items, backend) {
    const wanted = items.map((item, i) => [describe(item), i]);
    const [match] = wanted.filter(([item]) => item.name === backend.name)
        .concat(wanted.filter(([item]) => item.address === backend.address));
    if (!match) {
        throw new EditError(`${backend.name} is not written in the file by that name: a host name that ` +
                            `stands for several addresses, perhaps; ${BY_HAND}`);
    }
    return match[1];
}

/** The text as lines that can be spliced, with the line ends it came with. */
class Lines {
    constructor(text) {
        this.end = text.includes('\r\n') ? '\r\n' : '\n';
        this.all = text.split(/\r?\n/);
    }

    join() { return this.all.join(this.end); }
}

const indentOf = (line) => line.length - line.trimStart().length;
const isBlank = (line) => /^\s*(#.*)?$/.test(line);

/** Splits off a comment: {body, comment}; a `#` inside quotes or a word is none. */
function splitComment(line) {
    let quote = '';
    for (let i = 0; i < line.length; i++) {
        const c = line[i];
        if (quote) {
            if (c === '\\' && quote === '"') {
                i++;
            } else if (c === quote) {
                quote = '';
            }
        } else if ((c === '"' || c === "'") && /[\s[{,:-]/.test(line[i - 1] ?? ' ')) {
            quote = c;
        } else if (c === '#' && /\s/.test(line[i - 1] ?? ' ')) {
            return {body: line.slice(0, i).trimEnd(), comment: line.slice(i)};
        }
    }
    return {body: line.trimEnd(), comment: ''};
}

/** A key of a block mapping: {indent, key, value, comment}, or null. */
function parseKey(line) {
    const {body, comment} = splitComment(line);
    const match = /^(\s*)("[^"]*"|'[^']*'|[^\s"'#:[\]{},&*!|>%@-][^:#]*?)\s*:(?:\s+(.*))?$/.exec(body);
    if (!match) {
        return null;
    }
    return {indent: match[1].length, key: match[2].replace(/^(["'])(.*)\1$/, '$2'), value: match[3] ?? '', comment};
}

/** The direct children of the mapping whose first line is `from`, deeper than `indent`. */
function children(lines, from, indent) {
    const found = [];
    let own = null;
    for (let i = from; i < lines.all.length; i++) {
        const line = lines.all[i];
        if (isBlank(line) || (indent < 0 && /^(---|\.\.\.)(\s|$)/.test(line))) {
            continue;
        }
        const depth = indentOf(line);
        if (depth <= indent) {
            break;
        }
        own ??= depth;
        const key = depth === own ? parseKey(line) : null;
        if (key) {
            found.push({...key, line: i});
        }
    }
    return found;
}

/** Where the pool's `backends` key is, or null when the pool has none. */
function findKey(lines, pool) {
    if (lines.all.some((line) => line.includes('\t') && /^\s*\t/.test(line))) {
        throw new EditError(`the file is indented with tabs; ${BY_HAND}`);
    }
    const top = children(lines, 0, -1);
    const pools = top.find((entry) => entry.key === 'pools');
    if (!pools) {
        return pool === 'default' ? (top.find((entry) => entry.key === 'backends') ?? null) : missing(pool);
    }
    const own = children(lines, pools.line + 1, pools.indent).find((entry) => entry.key === pool);
    if (!own || own.value) {
        return missing(pool);
    }
    return children(lines, own.line + 1, own.indent).find((entry) => entry.key === 'backends') ?? null;
}

function missing(pool) {
    throw new EditError(`the pool ${pool} is not written in the usual way; ${BY_HAND}`);
}

function locate(lines, pool) {
    const key = findKey(lines, pool);
    if (!key) {
        throw new EditError(`the pool ${pool} has no backends key; ${BY_HAND}`);
    }
    if (/^[&*!|>]/.test(key.value)) {
        throw new EditError(`the backends of ${pool} are an anchor, alias, tag or block of text; ${BY_HAND}`);
    }
    if (key.value.startsWith('[')) {
        return {...key, form: 'flow', items: flowItems(key.value)};
    }
    if (key.value && key.value !== '~' && key.value !== 'null') {
        return {...key, form: 'text', items: textItems(key.value)};
    }
    return {...key, form: 'block', items: blockItems(lines, key)};
}

function locateOrCreate(lines, pool) {
    if (findKey(lines, pool)) {
        return locate(lines, pool);
    }
    const pools = children(lines, 0, -1).find((entry) => entry.key === 'pools');
    const own = pools && children(lines, pools.line + 1, pools.indent).find((entry) => entry.key === pool);
    if (!own) {
        while (lines.all.length && lines.all[lines.all.length - 1].trim() === '') {
            lines.all.pop();
        }
        lines.all.push('backends: []', '');
    } else {
        const [first] = children(lines, own.line + 1, own.indent);
        lines.all.splice(own.line + 1, 0, `${' '.repeat(first?.indent ?? own.indent + 2)}backends: []`);
    }
    return locate(lines, pool);
}

// --- Values -----------------------------------------------------------------------------------

function scalar(text) {
    const value = text.trim();
    if (/^[&*!|>%@`]/.test(value)) {
        throw new EditError(`an anchor, alias or tag is used in the list; ${BY_HAND}`);
    }
    if (value.startsWith('"')) {
        try {
            return JSON.parse(value);
        } catch {
            throw new EditError(`a quoted value is not understood: ${value}; ${BY_HAND}`);
        }
    }
    return value.startsWith("'") ? value.slice(1, -1).replaceAll("''", "'") : value;
}

/** The value so that YAML reads back the same string, in a list of any form. */
function quoted(value) {
    return /^[A-Za-z0-9_./][A-Za-z0-9_./:-]*$/.test(value) && !value.endsWith(':') ? value : JSON.stringify(value);
}

function spell(fields) {
    const keys = Object.keys(fields).filter((key) => fields[key] !== undefined && fields[key] !== '');
    if (keys.length === 1) {
        return quoted(fields.address);
    }
    return `{${keys.map((key) => `${key}: ${quoted(String(fields[key]))}`).join(', ')}}`;
}

/** Splits the inside of [...] or {...} at its own commas: [{text, start, end}] within `text`. */
function splitFlow(text) {
    const open = text[0];
    const close = open === '[' ? ']' : '}';
    const parts = [];
    const nesting = [];
    let quote = '';
    let start = 1;
    for (let i = 1; i < text.length; i++) {
        const c = text[i];
        if (quote) {
            if (c === '\\' && quote === '"') {
                i++;
            } else if (c === quote) {
                quote = '';
            }
        } else if ((c === '"' || c === "'") && /[\s[{,:]/.test(text[i - 1])) {
            quote = c;
        } else if (c === '[' || c === '{') {
            nesting.push(c);
        } else if ((c === ']' || c === '}') && nesting.length) {
            nesting.pop();
        } else if (c === close || (c === ',' && !nesting.length)) {
            parts.push({text: text.slice(start, i), start, end: i});
            start = i + 1;
            if (c === close) {
                if (text.slice(i + 1).trim()) {
                    break;
                }
                return parts.filter((part) => part.text.trim());
            }
        }
    }
    throw new EditError(`the list goes over several lines in brackets; ${BY_HAND}`);
}

function flowMap(text) {
    const fields = {};
    for (const part of splitFlow(text)) {
        const match = /^\s*("[^"]*"|'[^']*'|[^\s:]+)\s*:\s+(.*)$/.exec(part.text);
        if (!match) {
            throw new EditError(`an entry of the list is not understood: ${part.text.trim()}; ${BY_HAND}`);
        }
        fields[scalar(match[1])] = scalar(match[2]);
    }
    return fields;
}

const valueFields = (text) => (text.trim().startsWith('{') ? flowMap(text.trim()) : {address: scalar(text)});

function flowItems(value) {
    return splitFlow(value).map((part) => ({...part, fields: valueFields(part.text)}));
}

function textItems(value) {
    const plain = scalar(value);
    if (/[\\\n]/.test(value)) {
        throw new EditError(`the list of backends is a text with escapes; ${BY_HAND}`);
    }
    return plain.split(/[\s,;]+/).filter(Boolean).map((address) => ({fields: {address}}));
}

/** Items of a block sequence: {line, last, indent, body, style, fields}; `last` is its last line of content. */
function blockItems(lines, key) {
    const items = [];
    let own = null;
    for (let i = key.line + 1; i < lines.all.length; i++) {
        const line = lines.all[i];
        if (isBlank(line)) {
            continue;
        }
        const depth = indentOf(line);
        const dash = /^\s*-(\s+|$)/.test(line);
        // YAML lets the dashes of a list stand right below its key.
        if (depth < key.indent || (depth === key.indent && !dash)) {
            break;
        }
        own ??= depth;
        if (depth === own && dash) {
            items.push({line: i, last: i, indent: depth});
        } else if (depth > own && items.length) {
            items[items.length - 1].last = i;
        } else {
            throw new EditError(`the list of backends is not written in the usual way; ${BY_HAND}`);
        }
    }
    return items.map((item) => ({...item, ...blockItem(lines, item)}));
}

function blockItem(lines, item) {
    const {body} = splitComment(lines.all[item.line]);
    const [, lead, value] = /^(\s*-\s*)(.*)$/.exec(body);
    if (!parseKey(' '.repeat(lead.length) + value)) {
        if (item.last !== item.line || !value) {
            throw new EditError(`an entry of the list goes over several lines; ${BY_HAND}`);
        }
        return {style: 'inline', lead, value, fields: valueFields(value)};
    }
    const keys = [];
    for (let i = item.line; i <= item.last; i++) {
        const text = i === item.line ? ' '.repeat(lead.length) + lines.all[i].slice(lead.length) : lines.all[i];
        if (isBlank(text)) {
            continue;
        }
        const key = parseKey(text);
        if (!key || key.indent !== lead.length || key.value === '') {
            throw new EditError(`an entry of the list is not understood (line ${i + 1}); ${BY_HAND}`);
        }
        keys.push({...key, line: i});
    }
    return {style: 'map', lead, keys, fields: Object.fromEntries(keys.map((key) => [key.key, scalar(key.value)]))};
}

// --- Edits ------------------------------------------------------------------------------------

/** Replaces the value of the `backends` key on its own line. */
function setKeyValue(lines, found, value) {
    const line = lines.all[found.line];
    const {body} = splitComment(line);
    const head = line.slice(0, line.indexOf(':', found.indent) + 1);
    lines.all[found.line] = `${head} ${value}${line.slice(body.length)}`;
}

/** The same list as `[a, b]`, for what a plain text of addresses cannot say. */
const asFlow = (items) => `[${items.map((item) => spell(item.fields ?? item)).join(', ')}]`;

function insert(lines, found, fields) {
    const plain = Object.keys(fields).length === 1;
    if (found.form === 'block') {
        const last = found.items[found.items.length - 1];
        const lead = last ? `${' '.repeat(last.indent)}- ` : `${' '.repeat(found.indent + 2)}- `;
        lines.all.splice((last ? last.last : found.line) + 1, 0, lead + spell(fields));
    } else if (found.form === 'text' && plain && !/[\s,;]/.test(fields.address)) {
        const quote = /^["']/.test(found.value) ? found.value[0] : '';
        const inner = quote ? found.value.slice(1, -1) : found.value;
        const separator = /[^\s,;]([\s,;]+)[^\s,;]/.exec(inner)?.[1] ?? ', ';
        setKeyValue(lines, found, `${quote}${inner.trimEnd()}${inner.trim() ? separator : ''}${fields.address}${quote}`);
    } else if (found.form === 'flow' && found.items.length) {
        const {end} = found.items[found.items.length - 1];
        const kept = found.value.slice(0, end).trimEnd();
        setKeyValue(lines, found, `${kept}, ${spell(fields)}${found.value.slice(end)}`);
    } else {
        setKeyValue(lines, found, asFlow([...found.items, fields]));
    }
}

function remove(lines, found, index) {
    const item = found.items[index];
    if (found.form === 'block') {
        if (found.items.length === 1) {
            setKeyValue(lines, found, '[]');
        }
        const comments = [];
        for (let i = item.line; i <= item.last; i++) {
            const {comment} = splitComment(lines.all[i]);
            if (comment) {
                // A comment outlives its backend: it may say why the backend was there.
                comments.push(`${' '.repeat(item.indent)}# was ${describe(item).name}: ${comment.replace(/^#+\s*/, '')}`);
            }
        }
        lines.all.splice(item.line, item.last - item.line + 1, ...comments);
    } else if (found.form === 'text') {
        const quote = /^["']/.test(found.value) ? found.value[0] : '';
        const words = scalar(found.value).split(/([\s,;]+)/).filter(Boolean);
        const at = words.indexOf(item.fields.address);
        words.splice(at === words.length - 1 ? Math.max(0, at - 1) : at, 2);
        const rest = words.join('').trim();
        setKeyValue(lines, found, rest ? quote + rest + quote : '[]');
    } else {
        const from = index > 0 ? found.items[index - 1].end : item.start;
        let to = item.end;
        if (index === 0 && found.items.length > 1) {
            to = found.items[1].start + indentOf(found.items[1].text);
        }
        setKeyValue(lines, found, found.value.slice(0, from) + found.value.slice(to));
    }
}

function change(lines, found, index, key, value) {
    const item = found.items[index];
    if (found.form === 'text') {
        setKeyValue(lines, found, asFlow(found.items.map(
            (other, i) => (i === index ? {...other.fields, [key]: value ?? undefined} : other.fields))));
    } else if (found.form === 'flow') {
        const lead = item.text.slice(0, indentOf(item.text));
        const text = lead + changedInline(item.text.trim(), item.fields, key, value);
        setKeyValue(lines, found, found.value.slice(0, item.start) + text + found.value.slice(item.end));
    } else if (item.style === 'inline') {
        const line = lines.all[item.line];
        const rest = line.slice(item.lead.length + item.value.length);
        lines.all[item.line] = item.lead + changedInline(item.value, item.fields, key, value) + rest;
    } else {
        changeBlockMap(lines, item, key, value);
    }
}

/** `10.0.0.1:80` or `{address: 10.0.0.1:80, …}` with one key changed; the others keep their spelling. */
function changedInline(text, fields, key, value) {
    if (!text.startsWith('{')) {
        return value === null ? text : spell({...fields, [key]: value});
    }
    const parts = splitFlow(text).map((part) => part.text.trim());
    const at = parts.findIndex((part) => scalar(part.split(':')[0]) === key);
    if (at >= 0) {
        parts.splice(at, 1, ...(value === null ? [] : [`${key}: ${value}`]));
    } else if (value !== null) {
        parts.push(`${key}: ${value}`);
    }
    return `{${parts.join(', ')}}`;
}

function changeBlockMap(lines, item, key, value) {
    const own = item.keys.find((entry) => entry.key === key);
    const indent = ' '.repeat(item.lead.length);
    if (!own) {
        if (value !== null) {
            lines.all.splice(item.last + 1, 0, `${indent}${key}: ${value}`);
        }
        return;
    }
    const line = lines.all[own.line];
    if (value !== null) {
        const start = line.indexOf(':', item.lead.length) + 1;
        const at = line.indexOf(own.value, start);
        lines.all[own.line] = `${line.slice(0, at)}${value}${line.slice(at + own.value.length)}`;
    } else if (own.line === item.line) {
        // The dash stands on this line: it cannot go, so the default is written out.
        lines.all[own.line] = line.replace(own.value, key === 'weight' ? '1' : 'up');
    } else {
        lines.all.splice(own.line, 1, ...(own.comment ? [`${indent}${own.comment}`] : []));
    }
}
