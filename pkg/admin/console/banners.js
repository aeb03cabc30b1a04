// What needs a person, above every screen: each says what is wrong, since when, and what to do. The
// texts hold times of day, not spans that tick: a screen reader reads each once.

import {h} from './dom.js';
import {clock, plural} from './format.js';

const ICONS = {bad: '✕', warn: '▲', info: '●'};

/** The banners that the state asks for, worst first: [{id, level, title, text, action?: {label, href}}]. */
export function bannersFor(state) {
    const banners = [];
    const {connection, answeredAt, error, status, pools, config} = state;
    if (connection === 'stale') {
        banners.push({
            id: 'stale', level: 'bad', title: answeredAt ? 'Connection lost' : 'rproxy does not answer',
            text: `${capital(error?.message ?? 'no answer')}. ` + (answeredAt
                ? `What you see is from ${clock(answeredAt)}. Trying again.` : 'Trying again.'),
        });
    }
    for (const pool of pools ?? []) {
        if (typeof pool.all_down_since === 'number') {
            banners.push({
                id: `down ${pool.name}`, level: 'bad', big: true, title: `Pool ${pool.name}: every server is down`,
                text: `Since ${clock(pool.all_down_since)}. ` + (pool.fail_open
                    ? 'rproxy still tries them for each request; those that fail get 503.'
                    : 'Clients get 503 until one returns.'),
                action: {label: 'Name other servers', href: `#/servers?pool=${encodeURIComponent(pool.name)}&add=1`},
            });
        }
    }
    if (config) {
        banners.push(...configBanners(config));
    }
    if (status?.draining) {
        banners.push({
            id: 'draining', level: 'warn', title: 'Draining',
            text: 'This rproxy finishes its requests and takes no new connections.',
        });
    } else if (status && !status.ready) {
        const reasons = status.not_ready_reasons ?? [];
        banners.push({
            id: 'unready', level: 'warn', title: 'Not ready',
            text: `Kubernetes sends no traffic here: ${reasons.join('; ') || 'no reason given'}.`,
        });
    }
    return banners;
}

function configBanners(config) {
    const banners = [];
    const result = config.last_result;
    const errors = result?.result === 'rejected' ? result.errors ?? [] : [];
    const show = {label: errors.length ? 'Show the errors' : 'Show', href: '#/configuration'};
    const why = errors.length ? `is missing or invalid (${plural(errors.length, 'error')})` : 'is missing or invalid';
    if (config.source === 'none') {
        banners.push({
            id: 'none', level: 'bad', title: 'No configuration',
            text: `${config.path || 'The file'} ${why} and none was kept, so every request gets 503.`, action: show,
        });
    } else if (config.source === 'last_known_good') {
        banners.push({
            id: 'kept', level: 'warn', title: 'Running on the last good configuration',
            text: `${config.path || 'The file'} ${why}; the copy kept in the state directory is used.`, action: show,
        });
    } else if (result?.result === 'rejected') {
        banners.push({
            id: `rejected ${result.at}`, level: 'warn', title: 'The file was rejected',
            text: `At ${clock(result.at)}: ${plural(errors.length, 'error')}. Generation ${config.generation} keeps running.`,
            action: show,
        });
    } else if (result?.result === 'rolled_back') {
        banners.push({
            id: `rolled ${result.at}`, level: 'warn', title: 'A change was rolled back',
            text: `At ${clock(result.at)}: the canary saw more errors than allowed. Generation ${config.generation} keeps running.`,
            action: show,
        });
    }
    return banners;
}

const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** Keeps the region in step: a banner that did not change is not touched, and not announced again. */
export class Banners {
    #region;
    #shown = new Map();

    constructor(region) { this.#region = region; }

    update(banners) {
        const wanted = new Set(banners.map((banner) => banner.id));
        for (const [id, {node}] of this.#shown) {
            if (!wanted.has(id)) {
                node.remove();
                this.#shown.delete(id);
            }
        }
        for (const banner of banners) {
            const signature = JSON.stringify(banner);
            const old = this.#shown.get(banner.id);
            if (old?.signature === signature) {
                continue;
            }
            const node = h('div', {class: `banner${banner.big ? ' big' : ''}`, dataset: {level: banner.level}},
                h('span', {class: 'icon', 'aria-hidden': 'true'}, ICONS[banner.level]),
                h('p', {}, h('strong', {}, banner.title), ' ', h('span', {}, banner.text)),
                banner.action ? h('a', {class: 'button', href: banner.action.href}, banner.action.label) : null);
            if (old) {
                old.node.replaceWith(node);
            } else {
                this.#region.append(node);
            }
            this.#shown.set(banner.id, {node, signature});
        }
    }
}
