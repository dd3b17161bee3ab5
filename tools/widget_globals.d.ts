/** The modules by name, which the kernel puts before `widget.js`. */
declare const MODULES: Record<string, string>;
