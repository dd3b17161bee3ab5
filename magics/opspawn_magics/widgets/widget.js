// What a widget shows where our JupyterLab extension is not: anywidget gives one file to the page, so
// the modules come in it as text (MODULES, which the kernel puts before this) and are joined here.
/** @type {Map<string, Promise<string>>} */
const addresses = new Map();

/** Address of a module, once those that it imports have theirs. @param {string} name @returns {Promise<string>} */
function address(name) {
  const known = addresses.get(name);
  if (known) return known;
  const made = make(name);
  addresses.set(name, made);
  return made;
}

/** @param {string} name */
async function make(name) {
  let source = MODULES[name];
  for (const [, needed] of source.matchAll(/from "\.\/(\w+\.js)"/g)) {
    source = source.replaceAll(`from "./${needed}"`, `from "${await address(needed)}"`);
  }
  return URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
}

/** @param {{ model: any, el: HTMLElement }} given */
async function render({ model, el }) {
  const [{ mount }, { KernelServer }] = await Promise.all(["panel.js", "kernel.js"].map(async (name) => import(await address(name))));
  const server = new KernelServer(model), view = mount(el, model.get("panel"), server);
  return () => {
    view.close();
    server.close();
  };
}

export default { render };
