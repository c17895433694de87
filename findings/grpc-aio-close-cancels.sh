#!/usr/bin/env bash
# Closing a grpc.aio channel ends a call in flight with asyncio.CancelledError in a task that nobody canceled.
#
# Seen with: grpcio 1.85.3, Python 3.11, Linux x86-64, over loopback.
# Behavior:  the blocking API answers a call in flight with grpc.RpcError (CANCELLED, "Channel closed!"). The asyncio
#            API raises CancelledError instead: a BaseException, so neither `except grpc.RpcError` nor
#            `except Exception` sees it, and `Task.cancelling()` is 0. asyncio.TaskGroup takes such a task for one
#            that was canceled on purpose: the group ends without an error, and the answer is just missing.
# Output:    blocking: RpcError CANCELLED Channel closed!
#            asyncio: CancelledError, an Exception: False, cancelling: 0
#            task group: ended without an error, answers: []
# Bites:     asyncio clients of gRPC servers (tritonclient.grpc.aio among them) that share a channel, close it at the
#            end or to reconnect, and count on an RpcError for what was still in flight.
# Way out:   wait for the calls before closing (`close(grace)` waits and then cancels), or catch CancelledError around
#            the call and turn it into an error when `asyncio.current_task().cancelling()` is 0.
#
# Exits with 0 while this is so, with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check grpcio==1.85.3
cd "$folder"
venv/bin/python - <<'PYTHON'
import asyncio
import sys
import time

import grpc

METHOD = "/service/Method"


async def serve():
    async def answer(request, context):
        await asyncio.sleep(2)
        return b"answer"

    server = grpc.aio.server()
    handler = grpc.unary_unary_rpc_method_handler(answer)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("service", {"Method": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    return server, f"127.0.0.1:{port}"


def blocking(address):
    channel = grpc.insecure_channel(address)
    call = channel.unary_unary(METHOD).future(b"")
    time.sleep(0.5)
    channel.close()
    error = call.exception()
    return isinstance(error, grpc.RpcError), f"{error.code().name} {error.details()}"


async def closed_in_flight(address):
    channel = grpc.aio.insecure_channel(address)

    async def ask():
        try:
            await channel.unary_unary(METHOD)(b"")
        except BaseException as error:
            return error, asyncio.current_task().cancelling()

    task = asyncio.create_task(ask())
    await asyncio.sleep(0.5)
    await channel.close()
    return await task


async def in_a_task_group(address):
    channel, answers = grpc.aio.insecure_channel(address), []

    async def ask():
        answers.append(await channel.unary_unary(METHOD)(b""))

    async with asyncio.TaskGroup() as group:
        group.create_task(ask())
        await asyncio.sleep(0.5)
        await channel.close()
    return answers


async def main():
    server, address = await serve()
    is_rpc_error, text = await asyncio.get_running_loop().run_in_executor(None, blocking, address)
    print(f"blocking: {'RpcError' if is_rpc_error else 'no RpcError'} {text}")
    error, cancelling = await closed_in_flight(address)
    print(f"asyncio: {type(error).__name__}, an Exception: {isinstance(error, Exception)}, cancelling: {cancelling}")
    answers = await in_a_task_group(address)
    print(f"task group: ended without an error, answers: {answers}")
    await server.stop(0)
    canceled = isinstance(error, asyncio.CancelledError) and cancelling == 0
    return is_rpc_error and canceled and answers == []


sys.exit(0 if asyncio.run(main()) else 1)
PYTHON
