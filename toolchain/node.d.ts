/**
 * Goes on under a current Node, which it installs if this one is too old: runs `file` there with the same arguments and ends with
 * its exit status. Resolves only in a process whose Node is current.
 */
export function onCurrentNode(file: string, toolchain: string): Promise<void>;
