/**
 * What JupyterLab gets: our outputs drawn, a side bar, and ways to start a run.
 *
 * Only JupyterLab's shared packages are used, and every one of them may be missing: Notebook 7
 * has no launcher. They have no types here, because there is no build that could fetch them.
 */

import { Agents } from "./agents.js";
import { Board } from "./board.js";
import { node, say } from "./dom.js";
import { RunForm } from "./form.js";
import { mount } from "./panel.js";
import { Schedules } from "./schedules.js";
import { Server } from "./server.js";
import { Feed, isFinal, problemLine } from "./tasks.js";

const MIME = "application/vnd.opspawn.panel+json";
const PLUGIN = "opspawn-jupyter:plugin";
const UNFINISHED = ["pending", "queued", "running", "retrying", "waiting"];
/** Before JupyterLab's own renderers, so that ours is taken where a bundle has several. */
const RANK = -20;
const ICON = `<svg xmlns="http://www.w3.org/2000/svg" width="16" viewBox="0 0 24 24"><g class="jp-icon3" fill="#616161"><path d="M3 4h11v3H3zM3 10.5h8v3H3zM3 17h6v3H3zM13 11.5v9l8-4.5z"/></g></svg>`;

export const needed = [
  "@jupyterlab/application", "@jupyterlab/apputils", "@jupyterlab/filebrowser", "@jupyterlab/launcher",
  "@jupyterlab/notebook", "@jupyterlab/rendermime", "@jupyterlab/settingregistry", "@jupyterlab/statusbar",
  "@jupyterlab/ui-components", "@lumino/widgets",
];

/** @param {Record<string, any>} packages  JupyterLab's shared packages by name */
export function makePlugins(packages) {
  const of = (/** @type {string} */ name) => packages[`@jupyterlab/${name}`] ?? {};
  const optional = [
    of("application").ILayoutRestorer, of("apputils").ICommandPalette, of("launcher").ILauncher,
    of("statusbar").IStatusBar, of("filebrowser").IFileBrowserFactory, of("notebook").INotebookTracker,
    of("rendermime").IRenderMimeRegistry, of("settingregistry").ISettingRegistry,
  ];
  const names = ["restorer", "palette", "launcher", "statusBar", "browser", "tracker", "rendermime", "settings"];
  const wanted = names.filter((_, place) => optional[place]);
  return [{
    id: PLUGIN,
    description: "Background tasks: cards, side bar, and runs from the file browser and notebooks",
    autoStart: true,
    requires: [],
    optional: optional.filter(Boolean),
    activate: (/** @type {any} */ app, /** @type {any[]} */ ...given) => {
      const services = Object.fromEntries(wanted.map((name, place) => [name, given[place]]));
      new Extension(app, packages, services).activate();
    },
  }];
}

class Extension {
  /** @param {any} app @param {Record<string, any>} packages @param {Record<string, any>} services */
  constructor(app, packages, services) {
    this.app = app;
    this.services = services;
    this.apputils = packages["@jupyterlab/apputils"];
    this.Widget = packages["@lumino/widgets"].Widget;
    const { LabIcon } = packages["@jupyterlab/ui-components"];
    this.icon = new LabIcon({ name: "opspawn-jupyter:tasks", svgstr: ICON });
    const { baseUrl, wsUrl, token, appendToken } = app.serviceManager.serverSettings;
    this.server = new Server({ baseUrl, wsUrl, token: appendToken ? token : "" });
    this.host = { openFile: (/** @type {string} */ path) => void app.commands.execute("docmanager:open", { path }) };
    this.notify = "all";
  }

  activate() {
    this.#addRenderer();
    const side = this.#addSideBar();
    this.#addCommands(side);
    this.#watchTasks(side);
    void this.#readSettings();
  }

  #addRenderer() {
    const createRenderer = (/** @type {any} */ options) => {
      const widget = new this.Widget();
      widget.addClass("opspawn-mime");
      /** @type {{ close(): void } | null} */
      let view = null;
      // Called before the widget is attached, and again with each new content.
      widget.renderModel = async (/** @type {any} */ model) => {
        view?.close();
        view = mount(widget.node, model.data[MIME], this.server, { ...this.host, isReadOnly: !model.trusted });
      };
      widget.disposed.connect(() => view?.close());
      void options;
      return widget;
    };
    // Safe: nothing in the output becomes markup, and what is not trusted has no buttons.
    this.services.rendermime?.addFactory({ safe: true, mimeTypes: [MIME], defaultRank: RANK, createRenderer }, RANK);
  }

  #addSideBar() {
    const side = new this.Widget();
    side.id = "opspawn-tasks";
    side.title.icon = this.icon;
    side.title.caption = "Background tasks";
    side.addClass("opspawn-side");
    /** @type {(Agents | Board | Schedules)[]} */
    const views = [];
    // Made when it is first seen: a page that nobody looks at asks the server for nothing.
    side.onAfterShow = () => {
      if (views.length) return;
      views.push(new Schedules(this.server), new Agents(this.server, this.host), new Board({ server: this.server, host: this.host, query: { top: true }, title: "Background tasks" }));
      side.node.append(...views.map(({ root }) => root));
    };
    side.disposed.connect(() => views.forEach((view) => view.close()));
    this.app.shell.add(side, "left", { rank: 550 });
    this.services.restorer?.add(side, side.id);
    return side;
  }

  /** @param {any} side */
  #addCommands(side) {
    const { commands } = this.app, { palette, launcher, tracker, browser } = this.services;
    commands.addCommand("opspawn:open", {
      label: "Background Tasks", caption: "Show tasks that run in the background", icon: this.icon,
      execute: () => this.app.shell.activateById(side.id),
    });
    const ofNotebook = async (/** @type {boolean} */ is_schedule) => {
      const { context } = tracker.currentWidget;
      if (context.model.dirty) await context.save();
      await this.#ask(context.path, is_schedule);
    };
    const ofFiles = async (/** @type {boolean} */ is_schedule) => {
      const items = [...(browser?.tracker.currentWidget?.selectedItems() ?? [])];
      for (const { path } of items.filter(({ type }) => type === "notebook")) await this.#ask(path, is_schedule);
    };
    const isEnabled = () => Boolean(tracker?.currentWidget);
    commands.addCommand("opspawn:run-notebook", {
      label: "Run Notebook in Background…", caption: "Run this notebook in the background", icon: this.icon,
      isEnabled, execute: () => ofNotebook(false),
    });
    commands.addCommand("opspawn:schedule-notebook", { label: "Schedule Notebook…", icon: this.icon, isEnabled, execute: () => ofNotebook(true) });
    commands.addCommand("opspawn:run-file", { label: "Run in Background…", icon: this.icon, execute: () => ofFiles(false) });
    commands.addCommand("opspawn:schedule-file", { label: "Schedule…", icon: this.icon, execute: () => ofFiles(true) });
    for (const command of ["opspawn:open", "opspawn:run-notebook", "opspawn:schedule-notebook"]) palette?.addItem({ command, category: "Background Tasks" });
    launcher?.add({ command: "opspawn:open", category: "Other", rank: 10 });
  }

  /** Show the form, and run or schedule the notebook with what was filled in. @param {string} path @param {boolean} is_schedule */
  async #ask(path, is_schedule) {
    try {
      const { parameters } = await this.server.request(`notebooks/parameters?${new URLSearchParams({ path })}`);
      const form = new RunForm(path, parameters, is_schedule ? this.server : undefined);
      while (await this.#fill(form, is_schedule)) {
        // What is refused comes back with the reason, so that one wrong value does not cost the others.
        const why = await this.#send(form, is_schedule);
        if (!why) return;
        form.complain(why);
      }
    } catch (problem) {
      this.#tell("error", `${path} was not ${is_schedule ? "scheduled" : "started"}: ${/** @type {Error} */ (problem).message}`);
    }
  }

  /** Whether the form was filled in, and not put away. @param {RunForm} form @param {boolean} is_schedule */
  async #fill(form, is_schedule) {
    const { Dialog, showDialog } = this.apputils;
    const file = form.path.replace(/^.*\//, ""), title = is_schedule ? `Schedule ${file}` : `Run ${file} in the background`;
    const buttons = [Dialog.cancelButton(), Dialog.okButton({ label: is_schedule ? "Schedule" : "Run" })];
    const { button } = await showDialog({ title, body: new this.Widget({ node: form.root }), buttons });
    return button.accept;
  }

  /** Why the server refuses it; empty where it does not. @param {RunForm} form @param {boolean} is_schedule */
  async #send(form, is_schedule) {
    try {
      if (is_schedule) {
        const { schedule, words } = await this.server.request("schedules", { method: "POST", body: form.plan() });
        this.#tell("success", `${schedule.plan.name} is scheduled: ${words}`);
      } else {
        const task = await this.server.request("tasks", { method: "POST", body: form.submission() });
        this.#tell("success", `${task.name} runs in the background`);
      }
      return "";
    } catch (problem) {
      return /** @type {Error} */ (problem).message;
    }
  }

  /** @param {"success" | "error" | "warning" | "info"} kind @param {string} message @param {string} [file] */
  #tell(kind, message, file) {
    const show = { label: "Show tasks", callback: () => this.app.commands.execute("opspawn:open") };
    const open = { label: "Open notebook", callback: () => this.host.openFile(/** @type {string} */ (file)) };
    this.apputils?.Notification?.[kind](message, { autoClose: kind === "error" ? false : 6000, actions: file ? [open, show] : [show] });
  }

  /** The count in the status bar, and a word at the end of each run.
   * @param {any} side */
  #watchTasks(side) {
    const count = node("button", { class: "opspawn-count jp-mod-highlighted", type: "button", title: "Background tasks", onclick: () => this.app.shell.activateById(side.id) });
    const query = new URLSearchParams([...UNFINISHED.map((state) => ["state", state]), ["top", "true"], ["limit", "500"]]);
    const feed = new Feed(this.server, {
      query,
      keep: (task) => !task.parent_id,
      changed: (task) => {
        if (task && isFinal(task) && feed.tasks.delete(task.id)) this.#tellEnd(task);
        const states = [...feed.tasks.values()].map(({ state }) => state);
        const running = states.filter((state) => state === "running").length, others = states.length - running;
        say(count, `Tasks: ${[running && `${running} running`, others && `${others} waiting`].filter(Boolean).join(", ")}`);
        count.hidden = !states.length;
      },
    }).start();
    count.hidden = true;
    const item = new this.Widget({ node: count });
    this.services.statusBar?.registerStatusItem("opspawn-jupyter:count", { item, align: "left", rank: 100 });
  }

  /** @param {import("./tasks.js").Task} task */
  #tellEnd(task) {
    const is_good = task.state === "success";
    if (this.notify === "none" || (is_good && this.notify === "failures")) return;
    const word = task.state.replaceAll("_", " "), why = problemLine(task).slice(0, 140);
    const kind = is_good ? "success" : task.state === "cancelled" ? "info" : "error";
    this.#tell(kind, `${task.name}: ${word}${why ? `. ${why}` : ""}`, task.kind === "notebook" && task.attempt ? `${task.run_directory}/output.ipynb` : undefined);
  }

  async #readSettings() {
    const settings = await this.services.settings?.load(PLUGIN).catch(() => null);
    const read = () => { this.notify = settings.get("notifications").composite; };
    if (!settings) return;
    read();
    settings.changed.connect(read);
  }
}
