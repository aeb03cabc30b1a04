// A sortable table that keeps only the rows in sight in the document, so a thousand backends scroll
// like ten. Rows are updated in place: focus, selection and scroll position survive every refresh.

import {h, setAttribute, setText} from './dom.js';

const OVERSCAN = 12;
const DEFAULT_ROW_HEIGHT = 36;

/**
 * A column is {id, label, class?, title?, sort?(row) → number|string|null, text?(row) → string,
 * create?(cell, row) → update(row), heading?: true for the row's header cell}.
 */
export class LiveTable {
    #columns;
    #key;
    #body;
    #table;
    #head;
    #before = h('tr', {class: 'pad', 'aria-hidden': 'true'}, h('td'));
    #after = h('tr', {class: 'pad', 'aria-hidden': 'true'}, h('td'));
    #empty = h('p', {class: 'empty', hidden: true});
    #rows = new Map();      // The rows in the document: key → {tr, updates}.
    #order = [];            // Every row of the table, sorted.
    #sort;
    #height = DEFAULT_ROW_HEIGHT;
    #hovered = false;
    #queued = false;

    constructor({label, columns, key, sort}) {
        this.#columns = columns;
        this.#key = key;
        this.#sort = sort;
        for (const pad of [this.#before, this.#after]) {
            pad.firstChild.colSpan = columns.length;
        }
        this.#head = h('tr', {}, columns.map((column) => this.#heading(column)));
        this.#body = h('tbody', {}, this.#before, this.#after);
        this.#table = h('table', {}, h('caption', {class: 'sr'}, label), h('thead', {}, this.#head), this.#body);
        this.box = h('div', {class: 'table-box', role: 'region', 'aria-label': label, tabindex: '0'}, this.#table);
        this.node = h('div', {}, this.box, this.#empty);
        this.box.addEventListener('scroll', () => this.#queue(), {passive: true});
        this.#body.addEventListener('pointerenter', () => { this.#hovered = true; });
        this.#body.addEventListener('pointerleave', () => { this.#hovered = false; });
        new ResizeObserver(() => this.#queue()).observe(this.box);
        this.#showSort();
    }

    /** `empty` is what to say when there is no row. */
    update(rows, empty) {
        const known = new Map(rows.map((row) => [this.#key(row), row]));
        // A row must not jump away under the pointer or the focus that is about to act on it.
        const hold = this.#hovered || this.#body.contains(document.activeElement);
        if (hold) {
            const kept = this.#order.map((row) => this.#key(row)).filter((key) => known.has(key));
            const old = new Set(kept);
            this.#order = [...kept, ...[...known.keys()].filter((key) => !old.has(key))].map((key) => known.get(key));
        } else {
            this.#order = this.#sorted(rows);
        }
        this.#empty.hidden = rows.length > 0;
        this.box.hidden = rows.length === 0;
        setText(this.#empty, empty);
        setAttribute(this.#table, 'aria-rowcount', rows.length + 1);
        this.#render();
    }

    #heading(column) {
        const properties = {scope: 'col', class: column.class, title: column.title};
        if (!column.sort) {
            return h('th', properties, column.label);
        }
        return h('th', properties, h('button', {type: 'button', class: 'sort', onclick: () => this.#sortBy(column)},
            column.label, h('span', {class: 'arrow', 'aria-hidden': 'true'})));
    }

    #sortBy(column) {
        const descending = this.#sort.id === column.id ? !this.#sort.descending : Boolean(column.descending);
        this.#sort = {id: column.id, descending};
        this.#order = this.#sorted(this.#order);
        this.#showSort();
        this.box.scrollTop = 0;
        this.#render();
    }

    #showSort() {
        this.#columns.forEach((column, i) => {
            const own = column.id === this.#sort.id;
            setAttribute(this.#head.children[i], 'aria-sort',
                         own ? (this.#sort.descending ? 'descending' : 'ascending') : null);
        });
    }

    #sorted(rows) {
        const {sort} = this.#columns.find((column) => column.id === this.#sort.id);
        const sign = this.#sort.descending ? -1 : 1;
        const values = new Map(rows.map((row) => [row, sort(row) ?? null]));
        return [...rows].sort((x, y) => {
            const a = values.get(x);
            const b = values.get(y);
            // What is not known comes last in both directions.
            if (a === null || b === null) {
                return Number(a === null) - Number(b === null);
            }
            return sign * (typeof a === 'string' ? a.localeCompare(b, 'en', {numeric: true}) : a - b);
        });
    }

    #queue() {
        if (!this.#queued) {
            this.#queued = true;
            requestAnimationFrame(() => {
                this.#queued = false;
                this.#render();
            });
        }
    }

    #render() {
        const visible = Math.ceil((this.box.clientHeight || 800) / this.#height);
        const top = Math.floor(this.box.scrollTop / this.#height);
        const first = Math.max(0, Math.min(top - OVERSCAN, this.#order.length - visible));
        const last = Math.min(this.#order.length, top + visible + OVERSCAN);
        const wanted = new Map(this.#order.slice(first, last).map((row) => [this.#key(row), row]));
        for (const [key, {tr}] of this.#rows) {
            if (!wanted.has(key)) {
                if (tr.contains(document.activeElement)) {
                    this.box.focus({preventScroll: true});
                }
                tr.remove();
                this.#rows.delete(key);
            }
        }
        let place = this.#before;
        let index = first;
        for (const [key, row] of wanted) {
            const entry = this.#rows.get(key) ?? this.#create(key, row);
            entry.updates.forEach((update) => update(row));
            // Line 1 is the heading.
            setAttribute(entry.tr, 'aria-rowindex', index + 2);
            if (place.nextSibling !== entry.tr) {
                place.after(entry.tr);
            }
            place = entry.tr;
            index++;
        }
        this.#pad(this.#before, first);
        this.#pad(this.#after, this.#order.length - last);
        this.#measure();
    }

    #pad(row, count) {
        const height = `${count * this.#height}px`;
        if (row.firstChild.style.height !== height) {
            row.firstChild.style.height = height;
        }
        row.hidden = count === 0;
    }

    /** Rows are all of one height, but which depends on the font and the width of the screen. */
    #measure() {
        const [entry] = this.#rows.values();
        const height = entry?.tr.getBoundingClientRect().height ?? 0;
        if (height > 0 && Math.abs(height - this.#height) > 0.5) {
            this.#height = height;
            this.#queue();
        }
    }

    #create(key, row) {
        const tr = h('tr');
        const updates = this.#columns.map((column) => {
            const cell = h(column.heading ? 'th' : 'td', {class: column.class, scope: column.heading ? 'row' : null});
            tr.append(cell);
            return column.create ? column.create(cell, row) : (current) => setText(cell, column.text(current));
        });
        const entry = {tr, updates};
        this.#rows.set(key, entry);
        return entry;
    }
}
