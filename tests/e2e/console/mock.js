// A stand-in for the admin port: serves the console's files with the headers of the real server, and
// docs/api.md from a world that a test can change at any time. By hand: `node mock.js [SCENARIO] [PORT]`.

import {createHash} from 'node:crypto';
import {readFile} from 'node:fs/promises';
import {createServer} from 'node:http';
import {fileURLToPath} from 'node:url';

import {listBackends} from '../../../pkg/admin/console/yaml_edit.js';

const CONSOLE = new URL('../../../pkg/admin/console/', import.meta.url);
const TYPES = {html: 'text/html', css: 'text/css', js: 'text/javascript', svg: 'image/svg+xml'};
const POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
               "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
export const TOKEN = 'open-sesame';

export const CONFIG = `# Edge proxy of the shop. Ask the platform team before you touch the timeouts.
version: 1
listeners:
  - {name: http, address: 0.0.0.0:8080}

pools:
  web:
    method: least_connections
    backends:
      # rack 1
      - 10.0.0.1:8080            # oldest machine
      - 10.0.0.2:8080
      - {address: 10.0.0.3:8080, name: big, weight: 3}   # twice the cores
      # rack 2
      - address: 10.0.0.4:8080
        state: drain             # disk is being replaced
    health_check: {path: /healthz, interval: 5s}

  api:
    method: peak_ewma
    backends: [10.0.1.1:9000, 10.0.1.2:9000, {address: 10.0.1.3:9000, weight: 2}]
    slow_start: 30s

routes:
  - {path: /api, pool: api}
  - {pool: web}
`;

const sha256 = (text) => createHash('sha256').update(text).digest('hex');
const seconds = () => Date.now() / 1000;

function backend(address, changes = {}) {
    const at = address.lastIndexOf(':');
    return {
        name: address, address, host: address.slice(0, at), port: Number(address.slice(at + 1)), state: 'up',
        weight: 1, effective_weight: 1, connections_active: 3, connections_idle: 2, connections_total: 17, requests_active: 1,
        latency_ewma_seconds: 0.0012, up_since: seconds() - 93784, last_request: seconds() - 1, last_crash: null,
        last_crash_reason: null, crashes: 0, last_recovery: null,
        last_health_check: {at: seconds() - 2, ok: true, detail: '200 in 2 ms'},
        speed: 40, errorShare: 0, base: 120000, ...changes,
    };
}

const crashed = (ago, reason, changes = {}) => ({
    state: 'down', up_since: null, connections_active: 0, connections_idle: 0, requests_active: 0, speed: 0,
    last_crash: seconds() - ago, last_crash_reason: reason, crashes: 2, last_request: seconds() - ago - 1,
    last_health_check: {at: seconds() - 3, ok: false, detail: 'connection refused'}, ...changes,
});

function pool(name, method, backends, changes = {}) {
    return {name, method, selection: 'request', all_down_since: null, fail_open: false, backends, ...changes};
}

function world() {
    const started = seconds() - 93790;
    const old = CONFIG.replace('      - 10.0.0.2:8080\n', '').replace('5s', '10s');
    return {
        started, ready: true, draining: false, not_ready_reasons: [], generation: 3, listening: true, answer: {}, delay: 0,
        pools: [
            pool('web', 'least_connections', [
                backend('10.0.0.1:8080', {speed: 64, latency_ewma_seconds: 0.0021}),
                backend('10.0.0.2:8080', crashed(754, 'refused')),
                backend('10.0.0.3:8080', {name: 'big', weight: 3, effective_weight: 1.8, speed: 180, errorShare: 0.004, latency_ewma_seconds: 0.0034}),
                backend('10.0.0.4:8080', {state: 'draining', speed: 0.4}),
            ]),
            pool('api', 'peak_ewma', [
                backend('10.0.1.1:9000', {speed: 12, latency_ewma_seconds: 0.041}),
                backend('10.0.1.2:9000', {state: 'ejected', up_since: null, speed: 3, errorShare: 0.4, latency_ewma_seconds: 0.84,
                    last_crash: seconds() - 6, last_crash_reason: 'http_status', crashes: 9}),
                backend('10.0.1.3:9000', {weight: 2, effective_weight: 2, speed: 25, latency_ewma_seconds: 0.038}),
            ]),
        ],
        config: {
            text: CONFIG, path: '/etc/rproxy/rproxy.yaml', writable: false, source: 'file', applied: seconds() - 3600,
            last_result: {result: 'applied', at: seconds() - 3600, errors: []},
            versions: [
                {generation: 2, applied: seconds() - 90000, changes: ['pool web: health check interval 10s'], text: old},
                {generation: 3, applied: seconds() - 3600, text: CONFIG,
                    changes: ['pool web: backend 10.0.0.2:8080 added', 'pool web: health_check.interval 10s → 5s']},
            ],
        },
        requests: [
            {time: seconds() - 721, why: ['failed'], request_id: 'b7d1c5a2f0e94c33', trace_id: '0af7651916cd43dd8448eb211c80319c', client: '192.0.2.17', method: 'GET',
                host: 'shop.example.com', path: '/cart', pool: 'web', generation: 3, status: 502, reason: 'backend_connect_failed', timers: [], duration_seconds: 0.0031,
                until_answer_seconds: 0.003, backend_seconds: 0.0021, queued_seconds: 0, bytes_in: 412, bytes_out: 288, attempts_total: 2, attempts: [
                    {backend: '10.0.0.2:8080', result: 'connect_failed', status: null, duration_seconds: 0.0009},
                    {backend: '10.0.0.1:8080', result: 'connect_failed', status: null, duration_seconds: 0.0011}]},
            {time: seconds() - 733, why: ['retried', 'slow'], request_id: '5e01', trace_id: null, client: '2001:db8::7', method: 'GET',
                host: 'shop.example.com', path: '/a/rather/long/path/to/a/product/that/does/not/fit/on/a/phone.html', pool: 'web', generation: 3, status: 200, reason: null, timers: ['response'],
                duration_seconds: 1.62, until_answer_seconds: 1.55, backend_seconds: 1.6, queued_seconds: 0.02, bytes_in: 390, bytes_out: 5120, attempts_total: 2, attempts: [
                    {backend: '10.0.0.2:8080', result: 'response_timeout', status: null, duration_seconds: 1.5},
                    {backend: 'big', result: 'answered', status: 200, duration_seconds: 0.05}]},
            {time: seconds() - 900, why: ['slow'], request_id: '77aa', trace_id: null, client: '192.0.2.18', method: 'POST',
                host: 'api.example.com', path: '/export', pool: 'api', generation: 2, status: 200, reason: null, timers: [],
                duration_seconds: 2.2, until_answer_seconds: 2.1, backend_seconds: 2.2, queued_seconds: 0, bytes_in: 1200, bytes_out: 880000, attempts_total: 1, attempts: [
                    {backend: 'api-1', result: 'answered', status: 200, duration_seconds: 2.2}]},
        ],
        events: [
            {at: started, kind: 'process', message: 'rproxy started'},
            {at: started + 1, kind: 'config', generation: 2, result: 'applied', message: 'generation 2 applied'},
            {at: seconds() - 3600, kind: 'config', generation: 3, result: 'applied', message: 'generation 3 applied'},
            {at: seconds() - 754, kind: 'backend_state', pool: 'web', backend: '10.0.0.2:8080', from: 'up', to: 'down', reason: 'refused', message: 'backend went down'},
            {at: seconds() - 6, kind: 'backend_state', pool: 'api', backend: '10.0.1.2:9000', from: 'up', to: 'ejected', reason: 'http_status', message: 'backend ejected'},
        ],
    };
}

const REJECTED = CONFIG.replace('method: least_connections', 'metod: least_connections').replace('weight: 3', 'weight: many');

/** Worlds by name: each begins as the ordinary one. */
export const SCENARIOS = {
    ordinary: () => {},
    large: (w) => {
        const addresses = Array.from({length: 1000}, (_, i) => `10.2.${Math.floor(i / 250)}.${(i % 250) + 1}:8080`);
        w.pools = [pool('bulk', 'power_of_two', addresses.map((address, i) => backend(address, {
            speed: 1 + (i % 17), latency_ewma_seconds: 0.001 + (i % 29) / 5000,
            ...(i % 97 === 5 ? crashed(100 + i, 'timeout') : {}), ...(i % 211 === 7 ? {state: 'draining'} : {}),
        })))];
        w.config.text = `pools:\n  bulk:\n    backends:\n${addresses.map((a) => `      - ${a}\n`).join('')}`;
        w.config.versions = [{generation: 3, applied: seconds() - 60, changes: [], text: w.config.text}];
    },
    all_down: (w) => {
        const web = w.pools[0];
        web.backends.forEach((one, i) => Object.assign(one, crashed(200 - 10 * i, 'refused')));
        Object.assign(web, {all_down_since: seconds() - 170, fail_open: true});
        w.events.push({at: seconds() - 170, kind: 'pool', pool: 'web', message: 'every backend is down'});
    },
    rejected: (w) => {
        const errors = [
            {file: 'rproxy.yaml', line: 8, column: 5, path: 'pools.web.metod', message: 'unknown key', hint: "did you mean 'method'?"},
            {file: 'rproxy.yaml', line: 13, column: 51, path: 'pools.web.backends[2].weight', message: 'not a whole number', hint: 'a number from 0 to 1000'},
        ];
        w.config.last_result = {result: 'rejected', at: seconds() - 42, errors, text: REJECTED};
        w.events.push({at: seconds() - 42, kind: 'config', generation: 3, result: 'rejected', message: 'file rejected: 2 errors'});
    },
    last_known_good: (w) => {
        SCENARIOS.rejected(w);
        w.config.source = 'last_known_good';
    },
    no_config: (w) => {
        Object.assign(w, {ready: false, not_ready_reasons: ['no configuration applied'], generation: 0, pools: [], events: w.events.slice(0, 1)});
        Object.assign(w.config, {text: '', source: 'none', applied: null, versions: [], last_result: {
            result: 'rejected', at: seconds() - 5, errors: [{file: 'rproxy.yaml', line: 1, column: 1, path: '', message: 'cannot read the file', hint: 'is it mounted?'}]}});
    },
    draining: (w) => Object.assign(w, {ready: false, draining: true, not_ready_reasons: ['draining']}),
    unready: (w) => Object.assign(w, {ready: false, not_ready_reasons: ['first health checks of pool web are not done', 'listener http is not open']}),
    empty_pool: (w) => {
        w.pools = [pool('default', 'round_robin', [])];
        w.config.text = 'backends: []\n';
    },
    writable: (w) => { w.config.writable = true; },
    hostile: (w) => {
        const evil = '<img src=x onerror=alert(1)>';
        Object.assign(w.pools[0].backends[0], {name: evil, last_crash: seconds(), last_crash_reason: evil});
        w.events.push({at: seconds(), kind: 'backend_state', pool: evil, backend: evil, from: 'up', to: evil, reason: evil, message: evil});
        Object.assign(w.requests[0], {path: evil, host: evil, request_id: evil, reason: evil, pool: evil, client: evil});
        w.config.text = `${evil}\n`;
        w.config.last_result = {result: 'rejected', at: seconds(), text: evil, errors: [{file: evil, line: 1, column: 1, path: evil, message: evil, hint: evil}]};
    },
};

/** Counters move with the clock, so that rates come out as the fixtures say. */
function publicBackend(one) {
    const {speed, errorShare, base, ...shown} = one;
    const wave = seconds() + 0.6 * Math.sin(seconds() / 7 + base % 13);
    const total = base + speed * (wave % 1e6);
    const errors = Math.floor(total * errorShare);
    const wobble = 1 + 0.25 * Math.sin(seconds() / 5 + speed);
    return {
        ...shown, uptime_seconds: one.up_since === null ? 0 : seconds() - one.up_since,
        latency_ewma_seconds: one.latency_ewma_seconds * wobble,
        requests_total: {'1xx': 0, '2xx': Math.floor(total) - errors, '3xx': 0, '4xx': 12, '5xx': 0, error: errors},
    };
}

/** Enough of the real checker for the screens: two known mistakes, and the change of the backends. */
function check(w, text) {
    const errors = [];
    text.split('\n').forEach((line, i) => {
        const weight = /weight: *([^\s,}]+)/.exec(line);
        if (line.includes('metod')) {
            errors.push({file: 'rproxy.yaml', line: i + 1, column: line.indexOf('metod') + 1, path: 'metod', message: 'unknown key', hint: "did you mean 'method'?"});
        } else if (weight && !/^\d+$/.test(weight[1])) {
            errors.push({file: 'rproxy.yaml', line: i + 1, column: weight.index + 1, path: 'weight', message: 'not a whole number', hint: 'a number from 0 to 1000'});
        }
    });
    const changes = errors.length ? [] : w.pools.flatMap(({name}) => {
        const [before, after] = [w.config.text, text].map((one) => {
            try {
                return new Map(listBackends(one, name).map((b) => [b.name, JSON.stringify([b.weight, b.state])]));
            } catch {
                return new Map();
            }
        });
        return [...[...after.keys()].filter((key) => !before.has(key)).map((key) => `pool ${name}: backend ${key} added`),
            ...[...before.keys()].filter((key) => !after.has(key)).map((key) => `pool ${name}: backend ${key} removed`),
            ...[...after.keys()].filter((key) => before.has(key) && before.get(key) !== after.get(key)).map((key) => `pool ${name}: backend ${key} changed`)];
    });
    return {valid: errors.length === 0, errors, changes};
}

function getApi(w, url) {
    switch (url.pathname) {
    case '/api/v1/status':
        return {version: '0.1.0', revision: 'abc123', started: w.started, uptime_seconds: seconds() - w.started, workers: 2,
            ready: w.ready, draining: w.draining, not_ready_reasons: w.not_ready_reasons, generation: w.generation,
            listeners: [{name: 'http', address: '0.0.0.0:8080', connections_active: 41, connections_total: 90210}],
            requests_total: 1203456, requests_active: 7};
    case '/api/v1/backends':
        return {pools: w.pools.map((one) => ({...one, backends_up: one.backends.filter((b) => b.state === 'up').length,
            backends: one.backends.map(publicBackend)}))};
    case '/api/v1/config':
        return {...w.config, hash: sha256(w.config.text), generation: w.generation,
            versions: w.config.versions.map((version) => ({...version, hash: sha256(version.text)}))};
    case '/api/v1/requests':
        return {slow_above_seconds: 1, matching: w.requests.length, requests: w.requests};
    case '/api/v1/events': {
        const events = w.events.map((event, i) => ({id: i + 1, ...event}));
        return {events: events.filter((event) => event.id > Number(url.searchParams.get('since') ?? 0)), last_id: events.length};
    }
    default:
        return null;
    }
}

function write(w, request, text) {
    if (request.headers.authorization !== `Bearer ${TOKEN}`) {
        return [403, {error: 'the token is wrong', hint: 'give the content of --admin-token-file'}];
    }
    if (request.headers['if-match'] && request.headers['if-match'] !== `"${sha256(w.config.text)}"`) {
        return [412, {error: 'another configuration runs by now'}];
    }
    const {valid, errors} = check(w, text);
    if (!valid) {
        return [422, {error: 'the configuration is invalid', errors}];
    }
    w.generation++;
    Object.assign(w.config, {text, applied: seconds(), last_result: {result: 'applied', at: seconds(), errors: []}});
    w.config.versions.push({generation: w.generation, applied: seconds(), changes: ['by the console'], text});
    w.events.push({at: seconds(), kind: 'config', generation: w.generation, result: 'applied', message: `generation ${w.generation} applied`});
    w.written = text;
    return [200, {written: true}];
}

async function readBody(request) {
    const chunks = [];
    for await (const chunk of request) {
        chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString();
}

/** Serves on a free port of loopback: {url, world, scenario(name), close()}. */
export async function startMock(scenario = 'ordinary', port = 0) {
    const mock = {
        world: null,
        scenario(name) {
            const fresh = world();
            SCENARIOS[name](fresh);
            mock.world = fresh;
        },
    };
    mock.scenario(scenario);
    const send = (response, status, body) => {
        response.writeHead(status, {'Content-Type': 'application/json', 'Cache-Control': 'no-store'});
        response.end(JSON.stringify(body));
    };
    const server = createServer(async (request, response) => {
        const w = mock.world;
        const url = new URL(request.url, 'http://mock');
        if (!url.pathname.startsWith('/api/')) {
            const file = url.pathname === '/' ? 'index.html' : url.pathname.slice(1);
            try {
                const bytes = await readFile(new URL(file, CONSOLE));
                response.writeHead(200, {'Content-Type': `${TYPES[file.split('.').pop()]}; charset=utf-8`, 'Content-Security-Policy': POLICY,
                    'X-Content-Type-Options': 'nosniff', 'Referrer-Policy': 'no-referrer', 'Cache-Control': 'no-cache'});
                response.end(bytes);
            } catch {
                response.writeHead(404).end();
            }
            return;
        }
        if (!w.listening) {
            request.destroy();
            return;
        }
        if (w.delay) {
            await new Promise((resolve) => { setTimeout(resolve, w.delay); });
        }
        if (w.answer[url.pathname]) {
            send(response, ...w.answer[url.pathname]);
        } else if (request.method === 'POST') {
            const text = await readBody(request);
            if (url.pathname === '/api/v1/config/check') {
                send(response, 200, check(w, text));
            } else {
                send(response, ...write(w, request, text));
            }
        } else {
            const body = getApi(w, url);
            send(response, body ? 200 : 404, body ?? {error: 'no such page'});
        }
    });
    await new Promise((resolve) => { server.listen(port, '127.0.0.1', resolve); });
    mock.url = `http://127.0.0.1:${server.address().port}/`;
    mock.close = () => {
        server.closeAllConnections();
        return new Promise((resolve) => { server.close(resolve); });
    };
    return mock;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    const mock = await startMock(process.argv[2] ?? 'ordinary', Number(process.argv[3] ?? 0));
    console.log(mock.url);
}
